/** Hints for what the surroundings refuse: how Node.js was started, how the package was bundled, limits of the system. */

/** What each permission of Node.js's permission model needs: https://nodejs.org/api/permissions.html */
const FLAGS: Readonly<Record<string, string>> = {
  FileSystemRead: '--allow-fs-read',
  FileSystemWrite: '--allow-fs-write',
  WorkerThreads: '--allow-worker',
  ChildProcess: '--allow-child-process',
  Addon: '--allow-addons',
};

const ADDONS =
  'better-sqlite3 is a native addon: start Node.js without --no-addons, and under its permission model with --allow-addons.';
const BUNDLED =
  'A file of the package is missing. Bundlers leave out the files that threads and processes start with: keep backup-catalog and better-sqlite3 external.';

const HINTS: Readonly<Record<string, string>> = {
  ERR_DLOPEN_DISABLED: ADDONS,
  ERR_DLOPEN_FAILED:
    'better-sqlite3 does not fit this Node.js or this system: install it again with the Node.js in use.',
  MODULE_NOT_FOUND: BUNDLED,
  ERR_MODULE_NOT_FOUND: BUNDLED,
  ENAMETOOLONG: 'Use a shorter name: the names of the files beside it are longer by up to 8 bytes.',
  EMFILE: 'The process has no open file left: close some, or raise its limit (ulimit -n).',
  ENFILE: 'The system has no open file left: close some, or raise its limit.',
};

function permissionHint(error: Error): string {
  // Node.js has no flag for it: a file cannot be known to be on the disk.
  if (/fsync/.test(error.message)) {
    return "Node.js's permission model allows no fsync, which backups and migrations need: start Node.js without --permission.";
  }
  const flag = FLAGS['permission' in error ? String(error.permission) : ''];
  return `Node.js's permission model forbids it: start Node.js with ${flag ?? 'the flag that the cause names'}.`;
}

const MAX_CAUSES = 8; // an error may be its own cause

/** What to do about an error of the surroundings, looking at what caused it as well; undefined for any other. */
export function hintOfCause(thrown: unknown, causes = MAX_CAUSES): string | undefined {
  if (!(thrown instanceof Error) || causes === 0) return undefined;
  const code = 'code' in thrown ? String(thrown.code) : '';
  if (code === 'ERR_ACCESS_DENIED') return permissionHint(thrown);
  // A process whose module is missing says so on stderr.
  const isMissing = /Cannot find (?:module|package)/.test(thrown.message);
  return HINTS[code] ?? (isMissing ? BUNDLED : hintOfCause(thrown.cause, causes - 1));
}
