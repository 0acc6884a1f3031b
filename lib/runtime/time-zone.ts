/** The time zone of this machine, as far as Intl can name it. */

/** Whether Intl knows a zone by this name. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function zoneOfIntl(): string | undefined {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  // No name, or `Etc/Unknown`, which Intl itself refuses, for a TZ that is empty or a rule (`UTC+2`).
  return typeof timeZone === 'string' && isTimeZone(timeZone) ? timeZone : undefined;
}

// Intl takes UTC for some rules that it cannot read, such as CET-1CEST. POSIX allows a colon before a name.
const isRule = (variable: string | undefined) =>
  variable !== undefined && variable !== '' && !isTimeZone(variable.replace(/^:/, ''));

/**
 * The zone of this machine by its IANA name; undefined where TZ is set to something that names none: it is the
 * surroundings' fault then, and no reason to refuse anything.
 */
export const namedTimeZone = (variable = process.env['TZ']): string | undefined =>
  isRule(variable) ? undefined : zoneOfIntl();

/** The zone in which dates without one are read if nobody says another: this machine's, or UTC where it names none. */
export const systemTimeZone = (): string => namedTimeZone() ?? 'UTC';

/** What a log says where dates were read in a zone that nobody named. */
export const ZONE_ASSUMED =
  'the system names no time zone, so dates without one were read as UTC; the option legacyTimeZone names another';
