/**
 * The steps that correct an old server's rows, some thousand rows at a time. Each works on whatever it finds, so a file
 * that was rolled back and upgraded again goes through the same steps.
 */

import { finished, migrationWork, type WorkContext, type WorkInput, type WorkResult } from '../../schema/migration.ts';
import { all, one, procedure, run, type Steps } from '../../sql/procedure.ts';
import { raw, type Sql, sql } from '../../sql/template.ts';
import { countedBytes, sumOfWhole } from '../../values/counted-bytes.ts';
import { now } from '../../values/dates.ts';
import { idBytes, newId } from '../../values/ids.ts';
import { UNLIMITED_BYTES } from '../../values/quota-limit.ts';
import { type LegacyDates, legacyDatesOf } from '../dates.ts';
import { adoptGroup, type Counts, count } from './adopt-group.ts';
import { dropEmptyTables, quarantine, writeReport } from './quarantine.ts';

const CHUNK = 2_000; // rows to a message: a tenth of a second
const ORPHAN_CHUNK = 50_000; // rows read, few of which are written

/** The position of a step in a table. */
interface Position {
  readonly after: number;
  readonly done: number;
  readonly total: number;
}

export function* countRows(table: Sql): Steps<number> {
  return (yield* one<{ rows: number }>(sql`SELECT count(*) AS "rows" FROM ${table}`))?.rows ?? 0;
}

function* positionOf(state: unknown, table: Sql): Steps<Position> {
  if (state !== null) return state as Position;
  return { after: Number.MIN_SAFE_INTEGER, done: 0, total: yield* countRows(table) };
}

const moved = (position: Position, after: number, rows: number, counts: Counts): WorkResult => ({
  state: { ...position, after, done: position.done + rows },
  finished: false,
  done: position.done + rows,
  total: position.total,
  counts,
});

/** How to treat rows whose client or file does not exist. */
export const ORPHANS = {
  files: { kind: 'orphanFiles', missing: sql`NOT EXISTS (SELECT 1 FROM clients c WHERE c.ID = files.ClientID)` },
  file_versions: {
    kind: 'orphanVersions',
    missing: sql`NOT EXISTS (SELECT 1 FROM files f WHERE f.ID = file_versions.FileID)`,
  },
  client_quotas: {
    kind: 'orphanQuotas',
    missing: sql`NOT EXISTS (SELECT 1 FROM clients c WHERE c.ID = client_quotas.ClientID)`,
  },
  client_activity: {
    kind: 'orphanActivity',
    missing: sql`NOT EXISTS (SELECT 1 FROM clients c WHERE c.ID = client_activity.ClientID)`,
  },
} as const;

export const NO_CLIENT = 'its client does not exist';
export const NO_FILE = 'its file does not exist';

export const adoptOrphans = migrationWork('adoption.orphans', function* ({ state }: WorkInput): Steps<WorkResult> {
  const position = yield* positionOf(state, sql`files`);
  const window = yield* one<{ last: number | null; rows: number }>(sql`SELECT max(r) AS "last", count(*) AS "rows"
      FROM (SELECT rowid AS r FROM files WHERE rowid > ${position.after} ORDER BY rowid LIMIT ${ORPHAN_CHUNK})`);
  const { last = null, rows = 0 } = window ?? {};
  if (last === null) return finished({}, position.total);
  const here = sql`rowid > ${position.after} AND rowid <= ${last} AND ${ORPHANS.files.missing}`;
  const counts: Counts = {};
  count(counts, ORPHANS.files.kind, yield* quarantine('files', here, NO_CLIENT));
  return moved(position, last, rows, counts);
});

/** A stored client. */
export interface StoredClient {
  readonly row: number;
  readonly id: Uint8Array | null;
  readonly lastSeen: unknown;
}

/** Gives a client an id if it lacks one, and converts its date to UTC. */
export function* adoptClient({ row, id, lastSeen }: StoredClient, dates: LegacyDates, counts: Counts): Steps<void> {
  const known = id ?? idBytes(newId());
  if (id === null) {
    yield* run(sql`UPDATE clients SET ID = ${known} WHERE rowid = ${row}`);
    count(counts, 'newIds');
  }
  const seen = dates.read(lastSeen);
  if (seen === lastSeen || (seen === null && lastSeen === '')) return;
  if (seen === null) {
    yield* run(sql`INSERT INTO adoption_notes (SourceTable, RowID, ColumnName, Value, NotedAt)
      SELECT 'clients', ID, 'LastSeen', LastSeen, ${now()} FROM clients WHERE rowid = ${row}`);
  }
  count(counts, seen === null ? 'unreadableDates' : 'datesToUtc');
  yield* run(sql`UPDATE clients SET LastSeen = ${seen ?? ''} WHERE rowid = ${row}`);
}

export const adoptClients = migrationWork(
  'adoption.clients',
  function* ({ state, context }: WorkInput): Steps<WorkResult> {
    const position = yield* positionOf(state, sql`clients`);
    const clients = yield* all<StoredClient>(sql`SELECT rowid AS "row", ID AS "id", LastSeen AS "lastSeen" FROM clients
      WHERE rowid > ${position.after} ORDER BY rowid LIMIT ${CHUNK}`);
    const last = clients.at(-1);
    if (last === undefined) return finished({}, position.total);
    const dates = legacyDatesOf(context.timeZone);
    const counts: Counts = { clients: clients.length };
    for (const client of clients) yield* adoptClient(client, dates, counts);
    return moved(position, last.row, clients.length, counts);
  },
);

/** Versions that an old server may have written: only a few, because it did not use them. */
export const adoptVersions = migrationWork('adoption.versions', function* ({ context }: WorkInput): Steps<WorkResult> {
  const found = yield* one(sql`SELECT 1 AS "found" FROM file_versions LIMIT 1`);
  if (found === undefined) return finished();
  yield* run(sql`CREATE INDEX idx_adoption_versions ON file_versions(FileID, VersionNumber)`);
  const counts: Counts = {};
  count(counts, ORPHANS.file_versions.kind, yield* quarantine('file_versions', ORPHANS.file_versions.missing, NO_FILE));
  const repeated = sql`EXISTS (SELECT 1 FROM file_versions o WHERE o.FileID = file_versions.FileID
      AND o.VersionNumber = file_versions.VersionNumber AND o.ID < file_versions.ID)`;
  count(counts, 'repeatedVersions', yield* quarantine('file_versions', repeated, 'another version has its number'));
  const dates = legacyDatesOf(context.timeZone);
  const naive = yield* all<{ id: number; created: unknown }>(sql`SELECT ID AS "id", CreatedDate AS "created"
      FROM file_versions WHERE CreatedDate NOT GLOB '????-??-??T??:??:??.???Z'`);
  for (const { id, created } of naive) {
    const read = dates.read(created);
    if (read !== null) yield* run(sql`UPDATE file_versions SET CreatedDate = ${read} WHERE ID = ${id}`);
  }
  return finished(counts);
});

/** The progress of adopting files. */
interface FilesPosition extends Position {
  readonly hasVersions: boolean;
}

function* filesPosition(state: unknown): Steps<FilesPosition> {
  if (state !== null) return state as FilesPosition;
  const index = yield* one(sql`SELECT 1 AS "found" FROM sqlite_schema WHERE name = 'idx_adoption_versions'`);
  return { ...(yield* positionOf(null, sql`files`)), hasVersions: index !== undefined };
}

export const adoptFiles = migrationWork('adoption.files', function* ({ state, context }: WorkInput): Steps<WorkResult> {
  const position = yield* filesPosition(state);
  const rows = yield* all<{ row: number }>(sql`SELECT rowid AS "row" FROM files WHERE HighestVersion = 0
      AND rowid > ${position.after} ORDER BY rowid LIMIT ${CHUNK}`);
  const last = rows.at(-1);
  if (last === undefined) {
    if (position.hasVersions) yield* run(sql`DROP INDEX idx_adoption_versions`);
    return finished({}, position.total);
  }
  const counts: Counts = {};
  const dates = legacyDatesOf(context.timeZone);
  const rules = { dates, hasVersions: position.hasVersions, legacy: context.legacy, counts };
  const adopted = new Set<number>();
  for (const { row } of rows) {
    if (adopted.has(row)) continue;
    for (const done of yield* adoptGroup(row, rules)) adopted.add(done);
  }
  return moved(position, last.row, adopted.size, counts);
});

/** Gives every client without a quota one that is large enough never to block it. */
export function* giveQuotas({ defaultQuotaBytes, legacy }: WorkContext): Steps<Counts> {
  const counts: Counts = {};
  yield* run(sql`CREATE TEMP TABLE catalog_use AS SELECT f.ClientID AS ID, ${raw(sumOfWhole(countedBytes('v.FileSize')))} AS Bytes
    FROM file_versions v JOIN files f ON f.ID = v.FileID GROUP BY f.ClientID`);
  const used = sql`coalesce((SELECT Bytes FROM temp.catalog_use u WHERE u.ID = clients.ID), 0)`;
  const enough = sql`max(${defaultQuotaBytes ?? UNLIMITED_BYTES}, min(2 * ${used}, ${UNLIMITED_BYTES}))`;
  if (legacy) count(counts, 'quotasRaised', yield* raiseUnreal(enough));
  const given = yield* run(sql`INSERT INTO client_quotas (ClientID, QuotaBytes, UsedBytes, LastUpdated)
    SELECT clients.ID, ${enough}, ${used}, ${now()} FROM clients
    WHERE NOT EXISTS (SELECT 1 FROM client_quotas q WHERE q.ClientID = clients.ID)`);
  count(counts, 'quotasGiven', given.changes);
  const { changes } = yield* run(sql`UPDATE client_quotas SET LastUpdated = ${now()}, UsedBytes =
    coalesce((SELECT Bytes FROM temp.catalog_use u WHERE u.ID = client_quotas.ClientID), 0)
    WHERE UsedBytes IS NOT coalesce((SELECT Bytes FROM temp.catalog_use u WHERE u.ID = client_quotas.ClientID), 0)`);
  count(counts, 'quotasCounted', changes);
  yield* run(sql`DROP TABLE temp.catalog_use`);
  return counts;
}

// The old server gave every client the schema's default and never read it, so such a row is not a decision.
function* raiseUnreal(enough: Sql): Steps<number> {
  const { changes } = yield* run(sql`UPDATE client_quotas SET QuotaBytes =
    (SELECT ${enough} FROM clients WHERE clients.ID = client_quotas.ClientID)
    WHERE typeof(QuotaBytes) <> 'integer' OR QuotaBytes <= 0 OR QuotaBytes = 1073741824`);
  return changes;
}

export const adoptQuotas = migrationWork('adoption.quotas', function* ({ context }: WorkInput): Steps<WorkResult> {
  const counts: Counts = {};
  for (const table of ['client_quotas', 'client_activity'] as const) {
    const { kind, missing } = ORPHANS[table];
    count(counts, kind, yield* quarantine(table, missing, NO_CLIENT));
  }
  return finished({ ...counts, ...(yield* giveQuotas(context)) });
});

/** Records the counts of all steps; an empty file has none. */
export const reportAdoption = procedure(
  'adoption.report',
  'write',
  function* ({
    context,
    counts,
  }: {
    readonly context: WorkContext;
    readonly counts: Readonly<Record<string, number>>;
  }): Steps<void> {
    if (Object.values(counts).every((rows) => rows === 0)) return;
    yield* writeReport('adoption', { timeZone: context.timeZone, legacy: context.legacy, counts });
  },
);

/** The rollback: rows stay unchanged, as does everything that an older schema cannot hold. */
export const leaveAdoption = migrationWork('adoption.leave', function* (): Steps<WorkResult> {
  yield* dropEmptyTables();
  return finished();
});
