/**
 * Hints for errors from outside the library: how Node.js was started, how the package was bundled, limits of the
 * system.
 */

/** The flag that grants each permission of Node.js's permission model: https://nodejs.org/api/permissions.html */
const FLAGS: Readonly<Record<string, string>> = {
  FileSystemRead: '--allow-fs-read',
  FileSystemWrite: '--allow-fs-write',
  WorkerThreads: '--allow-worker',
  ChildProcess: '--allow-child-process',
  Addon: '--allow-addons',
};

const ADDONS =
  'better-sqlite3 is a native addon: start Node.js without --no-addons, and with --allow-addons under the permission model.';
const BUNDLED =
  'A file of the package is missing. Bundlers omit the entry files of threads and processes: mark backup-catalog and better-sqlite3 as external.';

const HINTS: Readonly<Record<string, string>> = {
  ERR_DLOPEN_DISABLED: ADDONS,
  ERR_DLOPEN_FAILED: 'better-sqlite3 was built for another Node.js or system: reinstall it with the Node.js in use.',
  MODULE_NOT_FOUND: BUNDLED,
  ERR_MODULE_NOT_FOUND: BUNDLED,
  ENAMETOOLONG: 'Use a shorter name: the files beside the database have names up to 8 bytes longer.',
  EMFILE: 'The process has too many open files: close some, or raise its limit (ulimit -n).',
  ENFILE: 'The system has too many open files: close some, or raise its limit.',
};

function permissionHint(error: Error): string {
  // Node.js has no flag for it, and without fsync nobody knows whether a file is on the disk.
  if (/fsync/.test(error.message)) {
    return "Backups and migrations need fsync, which Node.js's permission model does not allow: start Node.js without --permission.";
  }
  const flag = FLAGS['permission' in error ? String(error.permission) : ''];
  return `Node.js's permission model forbids it: start Node.js with ${flag ?? 'the flag that the cause names'}.`;
}

const MAX_CAUSES = 8; // an error may be its own cause

/** Advice for an error from outside the library or for one of its causes; undefined for any other error. */
export function hintOfCause(thrown: unknown, causes = MAX_CAUSES): string | undefined {
  if (!(thrown instanceof Error) || causes === 0) return undefined;
  const code = 'code' in thrown ? String(thrown.code) : '';
  if (code === 'ERR_ACCESS_DENIED') return permissionHint(thrown);
  // A child process reports a missing module on stderr.
  const isMissing = /Cannot find (?:module|package)/.test(thrown.message);
  return HINTS[code] ?? (isMissing ? BUNDLED : hintOfCause(thrown.cause, causes - 1));
}
