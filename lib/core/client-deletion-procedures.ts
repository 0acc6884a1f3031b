/**
 * The statements that delete a client. A client with few files goes in one transaction. A client with many is marked
 * first and then loses its files in slices, so that other writers get their turn; triggers keep totals, quotas and the
 * search index right after each slice. A marked client accepts no saves, and any process can finish the deletion.
 */
import { ConflictError, NotFoundError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { all, one, procedure, rows, run, type Steps } from '../sql/procedure.ts';
import { join, type Sql, sql } from '../sql/template.ts';
import { now } from '../values/dates.ts';
import { idBytes } from '../values/ids.ts';
import { changeRow, leftOut } from './change-row.ts';
import { type Deletion, unnamedPaths } from './freed-paths.ts';

/** Most files of a client that is deleted in one transaction: other writers wait half a second. */
const FEW_FILES = 5_000;

/** Most rows of one slice: about 20 ms of the writer. */
const SLICE_FILES = 500;
const SLICE_VERSIONS = 1_000;
const SLICE_ACTIVITY = 5_000;

/** A client that is being deleted. */
export interface PendingDeletion {
  readonly clientId: string;
  /** When its last slice was removed. */
  readonly touchedAt: string;
  /** The process that deletes it: its `THIS_PROCESS`. */
  readonly owner: string;
}

/** What to delete, and how. */
export interface DeletionToBegin {
  readonly id: string;
  readonly owner: string;
  /** Delete in one transaction, however many files there are. */
  readonly whole: boolean;
}

/** What one slice removed. */
export interface DeletedSlice {
  /** Whether the client is gone. */
  readonly finished: boolean;
  /** Files. */
  readonly deleted: number;
  readonly bytes: number;
  /** Paths that the removed rows named; others may name them too. */
  readonly paths: readonly string[];
}

/** @throws {ConflictError} for a client that is being deleted */
export function* assertNotDeleting(id: string): Steps<void> {
  if (yield* isMarked(idBytes(id))) throw beingDeleted(id);
}

/** The error of a change to a client that is being deleted. */
export const beingDeleted = (id: string): ConflictError =>
  new ConflictError(`client ${id} is being deleted`, {
    hint: 'Wait until clients.get returns null for it, or call clients.delete again to finish the deletion.',
  });

function* hasManyFiles(client: Buffer, dialect: Dialect): Steps<boolean> {
  const found = yield* one<{ files: number }>(sql`SELECT count(*) AS "files" FROM
    (SELECT 1 FROM files WHERE ClientID = ${client} LIMIT ${dialect.unplanned(FEW_FILES + 1)}) AS f`);
  return (found?.files ?? 0) > FEW_FILES;
}

function* isKnown(client: Buffer): Steps<boolean> {
  return (yield* one(sql`SELECT 1 AS "known" FROM clients WHERE ID = ${client}`)) !== undefined;
}

function* isMarked(client: Buffer): Steps<boolean> {
  return (yield* one(sql`SELECT 1 AS "marked" FROM client_deletions WHERE ClientID = ${client}`)) !== undefined;
}

/**
 * Removes everything of a client except files, after its last file, because the triggers of files update these rows.
 */
function* removeClient(client: Buffer): Steps<void> {
  yield* run(sql`DELETE FROM quota_reservations WHERE ClientID = ${client}`);
  yield* run(sql`DELETE FROM client_quotas WHERE ClientID = ${client}`);
  yield* run(sql`DELETE FROM client_activity WHERE ClientID = ${client}`);
  yield* run(sql`DELETE FROM daily_totals WHERE ClientID = ${client}`);
  yield* run(sql`DELETE FROM client_deletions WHERE ClientID = ${client}`);
  // Another program may have deleted the row alone.
  if (yield* isKnown(client)) yield* changeRow(sql`DELETE FROM clients WHERE ID = ${client}`);
}

function* deleteWhole(client: Buffer, dialect: Dialect): Steps<Deletion> {
  const ofClient = sql`SELECT ID FROM files WHERE ClientID = ${client}`;
  const versions = yield* one<{
    bytes: number;
  }>(sql`SELECT ${dialect.sumOfBytes('FileSize')} AS "bytes" FROM file_versions
    WHERE FileID IN (${ofClient})`);
  const named = yield* all<{ path: unknown }>(sql`SELECT PathName AS "path" FROM file_versions
    WHERE FileID IN (${ofClient}) UNION SELECT PathName FROM files WHERE ClientID = ${client}`);
  // First, so that later triggers find nothing to count down.
  yield* run(sql`DELETE FROM client_quotas WHERE ClientID = ${client}`);
  yield* run(sql`DELETE FROM file_versions WHERE FileID IN (${ofClient})`);
  const { changes: deleted } = yield* run(sql`DELETE FROM files WHERE ClientID = ${client}`);
  yield* removeClient(client);
  const paths = yield* unnamedPaths(named.map(({ path }) => path));
  return { deleted, bytes: versions?.bytes ?? 0, paths };
}

// Its keys and reservations go at once: a marked client does nothing any more.
function* mark(client: Buffer, owner: string): Steps<void> {
  const at = now();
  yield* changeRow(sql`INSERT INTO client_deletions (ClientID, StartedAt, TouchedAt, Owner)
    VALUES (${client}, ${at}, ${at}, ${owner})
    ON CONFLICT (ClientID) DO UPDATE SET TouchedAt = excluded.TouchedAt, Owner = excluded.Owner`);
  if (yield* isKnown(client)) {
    yield* changeRow(sql`UPDATE clients SET PublicKey = NULL, AESKey = NULL WHERE ID = ${client}`);
  }
  yield* run(sql`DELETE FROM quota_reservations WHERE ClientID = ${client}`);
}

/** Deletes a client with few files; marks a client with many files and returns null. */
export const beginDeletion = procedure(
  'clients.delete',
  'write',
  function* ({ id, owner, whole }: DeletionToBegin, dialect): Steps<Deletion | null> {
    const client = idBytes(id);
    if (!(yield* isKnown(client)) && !(yield* isMarked(client))) throw new NotFoundError(`client ${id}`);
    if (whole || !(yield* hasManyFiles(client, dialect))) return yield* deleteWhole(client, dialect);
    yield* mark(client, owner);
    return null;
  },
);

interface FileToDelete {
  readonly id: Uint8Array;
  readonly versions: number;
}

function* nextFiles(client: Buffer, dialect: Dialect): Steps<FileToDelete[]> {
  const found = yield* all<FileToDelete>(sql`SELECT f.ID AS "id", (SELECT count(*) FROM file_versions v
    WHERE v.FileID = f.ID) AS "versions" FROM files f WHERE f.ClientID = ${client} AND f.ID IS NOT NULL
    LIMIT ${dialect.unplanned(SLICE_FILES)}`);
  let room = SLICE_VERSIONS;
  const chosen: FileToDelete[] = [];
  for (const file of found) {
    room -= file.versions;
    if (room < 0 && chosen.length > 0) break;
    chosen.push(file);
  }
  return chosen;
}

/** Removes the versions that match a condition. */
function* removeVersions(condition: Sql, dialect: Dialect): Steps<DeletedSlice> {
  const found = yield* rows<
    readonly [path: unknown, bytes: number]
  >(sql`SELECT PathName, ${dialect.countedBytes('FileSize')} FROM file_versions
    WHERE ${condition}`);
  const { changes } = yield* run(sql`DELETE FROM file_versions WHERE ${condition}`);
  if (changes < found.length) throw leftOut();
  const paths = found.flatMap(([path]) => (typeof path === 'string' ? [path] : []));
  return { finished: false, deleted: 0, bytes: found.reduce((sum, [, bytes]) => sum + bytes, 0), paths };
}

function* removeFiles(files: readonly FileToDelete[], dialect: Dialect): Steps<DeletedSlice> {
  const ids = join(files.map(({ id }) => id));
  const bare = yield* rows<readonly [path: unknown]>(sql`SELECT PathName FROM files WHERE ID IN (${ids})`);
  const removed = yield* removeVersions(sql`FileID IN (${ids})`, dialect);
  const { changes: deleted } = yield* run(sql`DELETE FROM files WHERE ID IN (${ids})`);
  // The next slice would find the same files, and so on without an end.
  if (deleted < files.length) throw leftOut();
  const own = bare.flatMap(([path]) => (typeof path === 'string' ? [path] : []));
  return { ...removed, deleted, paths: [...removed.paths, ...own] };
}

/** A file with more versions than a slice loses its oldest first. */
const removeOldest = ({ id }: FileToDelete, dialect: Dialect) =>
  removeVersions(
    sql`ID IN (SELECT ID FROM file_versions WHERE FileID = ${id} ORDER BY VersionNumber
    LIMIT ${dialect.unplanned(SLICE_VERSIONS)})`,
    dialect,
  );

const FINISHED: DeletedSlice = { finished: true, deleted: 0, bytes: 0, paths: [] };

/** Removes the next slice of a marked client, and the client itself with its last slice. */
export function* deleteSlice(id: string, dialect: Dialect): Steps<DeletedSlice> {
  const client = idBytes(id);
  if (!(yield* isMarked(client))) return FINISHED; // another process has finished it
  const files = yield* nextFiles(client, dialect);
  const [first] = files;
  if (first !== undefined) {
    return first.versions > SLICE_VERSIONS ? yield* removeOldest(first, dialect) : yield* removeFiles(files, dialect);
  }
  const { changes } = yield* run(sql`DELETE FROM client_activity WHERE ID IN
    (SELECT ID FROM client_activity WHERE ClientID = ${client} LIMIT ${dialect.unplanned(SLICE_ACTIVITY)})`);
  if (changes === SLICE_ACTIVITY) return { ...FINISHED, finished: false };
  yield* changeRow(sql`DELETE FROM client_deletions WHERE ClientID = ${client}`);
  const { deleted, bytes, paths } = yield* deleteWhole(client, dialect); // rows that an old server left without an id
  return { finished: true, deleted, bytes, paths };
}

/** One slice on behalf of a process. */
export const deleteClientSlice = procedure(
  'clients.deleteSlice',
  'write',
  function* ({ id, owner }: { readonly id: string; readonly owner: string }, dialect): Steps<DeletedSlice> {
    yield* run(sql`UPDATE client_deletions SET TouchedAt = ${now()}, Owner = ${owner} WHERE ClientID = ${idBytes(id)}`);
    return yield* deleteSlice(id, dialect);
  },
  // In its own commit, so that other writers get their turn between slices.
  { alone: true },
);

const ID_BYTES = 16; // a row with anything else marks no client

/** The clients that are being deleted, the oldest first. */
export function* pendingDeletions(dialect: Dialect): Steps<PendingDeletion[]> {
  return yield* all<PendingDeletion>(sql`SELECT ${dialect.hex('ClientID')} AS "clientId", TouchedAt AS "touchedAt",
    Owner AS "owner" FROM client_deletions WHERE length(ClientID) = ${ID_BYTES} ORDER BY StartedAt`);
}

export const listDeletions = procedure(
  'clients.deletions',
  'read',
  function* (_: null, dialect) {
    return yield* pendingDeletions(dialect);
  },
  { brief: true }, // every opening runs this, and should not wait for a reader to start
);

/** The paths that no row names, in one snapshot. */
export const unnamedOf = procedure(
  'clients.unnamedPaths',
  'read',
  function* (paths: readonly string[]): Steps<string[]> {
    return yield* unnamedPaths(paths);
  },
  { alone: true },
);
