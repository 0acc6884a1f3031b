/** The time zone of this machine, if Intl can name it. */

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
  // If TZ is empty or a rule (`UTC+2`), there is no name, or `Etc/Unknown`, which Intl itself refuses.
  return typeof timeZone === 'string' && isTimeZone(timeZone) ? timeZone : undefined;
}

// Intl uses UTC for some rules that it cannot read, such as CET-1CEST. POSIX allows a colon before a name.
const isRule = (variable: string | undefined) =>
  variable !== undefined && variable !== '' && !isTimeZone(variable.replace(/^:/, ''));

/** The IANA name of this machine's time zone; undefined if TZ names none, which is no reason to refuse anything. */
export const namedTimeZone = (variable = process.env['TZ']): string | undefined =>
  isRule(variable) ? undefined : zoneOfIntl();

/** The default time zone of dates without one: this machine's, or UTC if it names none. */
export const systemTimeZone = (): string => namedTimeZone() ?? 'UTC';

/** The log message after dates were read in a zone that nobody chose. */
export const ZONE_ASSUMED =
  'the system names no time zone, so dates without one were read as UTC; set legacyTimeZone to choose another';
