/**
 * The logger of a catalogue that was given none: it says nothing. pino itself is the caller's to load, since it makes an
 * opening 20 ms slower; what is here answers as a pino logger at level `silent` does.
 */
import type { Logger } from 'pino';

const nothing = () => undefined;

/** Writes nothing, and neither do its children. */
export const silentLogger = {
  level: 'silent',
  isLevelEnabled: () => false,
  bindings: () => ({}),
  flush: nothing,
  silent: nothing,
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  fatal: nothing,
  child: () => silentLogger,
} as unknown as Logger;
