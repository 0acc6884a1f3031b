/**
 * Checks which file system holds a database file, and how many names it has. SQLite finds the log and the locks of a
 * file by its name, so a file with two names has two logs: saves under one name are lost to the other
 * (https://sqlite.org/howtocorrupt.html, section 2.5). Opens nothing.
 */
import { readdir, readFile, realpath, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DatabaseError } from '../errors.ts';

/**
 * statfs(2) magic numbers of file systems that several machines can share, where locks and the shared memory of a
 * write-ahead log work on one machine at most (https://sqlite.org/wal.html, "all processes must be on the same host").
 * The numbers are from stat(1) of the GNU coreutils.
 */
const SHARED_BY_NUMBER: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x01021997, '9p'],
  [0x786f4256, 'vboxsf'],
]);

/**
 * The same by kernel name: a 9p server reports the number of the file system behind it, and all user-space file systems
 * share one number.
 * - 9p caches without consistency, or maps no memory that can be written (Linux, Documentation/filesystems/9p.rst);
 * - vboxsf: a shared mapping does not see what the host writes (VirtualBox, Additions/linux/sharedfolders/regops.c);
 * - sshfs: the SFTP protocol has no locks (https://github.com/libfuse/sshfs/pull/55);
 * - virtiofs shares a folder with the host of a virtual machine, as Docker Desktop does; its cache is not coherent with
 *   the host's, and write-ahead logs on it were found filled with zeros.
 */
const SHARED_BY_NAME: ReadonlyMap<string, string> = new Map([
  ['nfs', 'NFS'],
  ['nfs4', 'NFS'],
  ['cifs', 'CIFS'],
  ['smb3', 'SMB'],
  ['9p', '9p'],
  ['vboxsf', 'vboxsf'],
  ['fuse.sshfs', 'SSHFS'],
  ['virtiofs', 'virtiofs'],
  ['fuse.virtiofs', 'virtiofs'],
]);

/** A mount, as Linux reports it. */
export interface Mount {
  readonly point: string;
  readonly type: string;
}

const unescaped = (path: string) =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** Parses /proc/self/mountinfo, in the order of mounting; see proc(5). */
export function mountsIn(mountinfo: string): Mount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const point = before.split(' ')[4];
    const type = after.split(' ')[0];
    return point === undefined || type === undefined || type === '' ? [] : [{ point: unescaped(point), type }];
  });
}

/** Reads the mounts that this process sees; empty if the system does not report them. */
export type ReadMounts = () => Promise<readonly Mount[]>;

const readMounts: ReadMounts = async () =>
  process.platform === 'linux' ? mountsIn(await readFile('/proc/self/mountinfo', 'utf8').catch(() => '')) : [];

const holds = ({ point }: Mount, path: string) => point === '/' || path === point || path.startsWith(`${point}/`);

/** The mount that holds a path: the innermost, and the last of several at one place. */
export const mountOf = (path: string, mounts: readonly Mount[]): Mount | undefined =>
  mounts
    .filter((mount) => holds(mount, path))
    .reduce<Mount | undefined>(
      (inner, mount) => (mount.point.length >= (inner?.point.length ?? 0) ? mount : inner),
      undefined,
    );

/** The statfs(2) type of the file system that holds a path. @throws if there is no such path */
export type FileSystemOf = (path: string) => Promise<number>;

const typeOfFileSystem: FileSystemOf = async (path) => (await statfs(path)).type;

/** The path with links resolved, or that of its folder if there is no file yet. */
const realPlace = (path: string): Promise<string> =>
  realpath(path)
    .catch(() => realpath(dirname(path)))
    .catch(() => path);

/** The name of the shared file system; undefined if the file is on a local one. */
export async function sharedFileSystem(
  path: string,
  fileSystemOf: FileSystemOf = typeOfFileSystem,
  mounts: ReadMounts = readMounts,
): Promise<string | undefined> {
  // The file itself if it exists, because a link may lead to another file system.
  const type = await fileSystemOf(path)
    .catch(() => fileSystemOf(dirname(path)))
    .catch(() => 0);
  const found = mountOf(await realPlace(path), await mounts());
  return SHARED_BY_NUMBER.get(type >>> 0) ?? SHARED_BY_NAME.get(found?.type ?? '');
}

// `x.db.damaged-TIME` is a file set aside, `x.db.MACHINE-PROCESS.partial` one about to replace it.
const OF_A_RESTORE = /^\.(?:damaged-.+|[0-9a-f]{8}-\d+\.partial)$/;

/** How many of a file's names come from a restore that was killed while it set the file aside or replaced it. */
async function namesOfRestores(path: string, inode: bigint): Promise<number> {
  const [folder, start] = [dirname(path), basename(path)];
  const isOne = (name: string) => name.startsWith(start) && OF_A_RESTORE.test(name.slice(start.length));
  const names = (await readdir(folder).catch(() => [])).filter(isOne);
  const found = await Promise.all(
    names.map((name) => stat(join(folder, name), { bigint: true }).catch(() => undefined)),
  );
  return found.filter((stats) => stats?.ino === inode).length;
}

/** Why a file may have a second log, with advice. */
export interface SecondName {
  readonly message: string;
  readonly hint: string;
}

/** A path quoted for a shell. */
const typed = (path: string) => (/^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);

const mounted = (path: string): SecondName => ({
  message: `${path} is a mount point: inside and outside of the mount, its log is another file`,
  hint:
    'Mount the folder instead of the file. Stop every program that uses it, then: ' +
    `\`mkdir data && mv ${typed(basename(path))} data/\` and mount data: \`docker run -v ./data:${typed(join(dirname(path), 'data'))} …\`.`,
});

/** `within` is the mount that holds the file, and so all of its names. */
function linked(path: string, names: number, within: string): SecondName {
  const [file, copy] = [typed(path), typed(join(dirname(path), 'own.db'))];
  return {
    message: `${path} has ${names} names (hard links), and each name has its own log`,
    hint:
      `Stop every program that uses it and find its other names: \`find ${typed(within)} -xdev -samefile ${file}\`. ` +
      `Then make this name a separate file: \`cp -p ${file} ${copy} && mv ${copy} ${file}\`.`,
  };
}

/**
 * Why an existing file has a second name: it is a mount point, or has several hard links. Undefined if it has one name
 * or does not exist.
 */
export async function secondName(path: string, mounts: ReadMounts = readMounts): Promise<SecondName | undefined> {
  const stats = await stat(path, { bigint: true }).catch(() => undefined);
  if (stats === undefined || !stats.isFile()) return undefined;
  const real = await realPlace(path);
  const known = await mounts();
  if (known.some(({ point }) => point === real)) return mounted(real);
  const names = Number(stats.nlink);
  if (names <= 1 || names - (await namesOfRestores(real, stats.ino)) <= 1) return undefined;
  return linked(real, names, mountOf(real, known)?.point ?? '/');
}

/**
 * Refuses a file that may have a second log.
 * @throws {DatabaseError} CATALOG_IO with advice
 */
export async function refuseSecondName(path: string, mounts?: ReadMounts): Promise<void> {
  const found = await secondName(path, mounts);
  if (found === undefined) return;
  throw new DatabaseError('CATALOG_IO', `${found.message}: changes of one would be lost to the other`, {
    hint: found.hint.replace(/\.$/, ', or open it with readOnly to read it as it is.'),
  });
}
