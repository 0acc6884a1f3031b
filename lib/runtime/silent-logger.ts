/**
 * The default logger: silent. Loading pino would make opening 20 ms slower, so that is up to the caller; this object
 * behaves like a pino logger at level `silent`.
 */
import type { Logger } from 'pino';

const nothing = () => undefined;

/** Writes nothing; nor do its children. */
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
