/**
 * Repairs what raw SQL or an old server did since the file was adopted: orphans, split transfers, contradictions
 * between rows and versions, quotas, gaps of the search index. Repeating a step changes nothing.
 */

import { adoptChanged, adoptGroup, type Counts, count, type GroupRules } from '../legacy/adoption/adopt-group.ts';
import {
  adoptClient,
  giveQuotas,
  NO_CLIENT,
  NO_FILE,
  ORPHANS,
  type StoredClient,
} from '../legacy/adoption/adopt-rows.ts';
import { quarantine, writeReport } from '../legacy/adoption/quarantine.ts';
import { legacyDatesOf } from '../legacy/dates.ts';
import type { WorkContext } from '../schema/migration.ts';
import type { Dialect } from '../sql/dialect.ts';
import { columnList, expressions } from '../sql/named-values.ts';
import { all, one, procedure, run, type Steps } from '../sql/procedure.ts';
import { raw, type Sql, sql } from '../sql/template.ts';
import { now } from '../values/dates.ts';
import { inFiles, inFileVersions, VERSION_FACTS } from '../values/file-facts.ts';

const CHUNK = 1_000; // rows in one query

// Rows derived from missing rows say nothing alone, so they are not kept. This comes last: moving files counts their
// days.
function* removeDerived(): Steps<number> {
  const totals = yield* run(sql`DELETE FROM daily_totals
    WHERE NOT EXISTS (SELECT 1 FROM clients c WHERE c.ID = daily_totals.ClientID)`);
  const operations = yield* run(sql`DELETE FROM unchanged_operations
    WHERE NOT EXISTS (SELECT 1 FROM files f WHERE f.ID = unchanged_operations.FileID)`);
  return totals.changes + operations.changes;
}

/** Moves rows away that reference a missing client or file, versions before their files. */
export const repairOrphans = procedure('repair.orphans', 'write', function* (_: null): Steps<Counts> {
  const counts: Counts = {};
  const ofOrphans = sql`EXISTS (SELECT 1 FROM files WHERE files.ID = file_versions.FileID
    AND ${ORPHANS.files.missing})`;
  count(counts, ORPHANS.file_versions.kind, yield* quarantine('file_versions', ofOrphans, NO_CLIENT));
  count(counts, ORPHANS.files.kind, yield* quarantine('files', ORPHANS.files.missing, NO_CLIENT));
  count(counts, ORPHANS.file_versions.kind, yield* quarantine('file_versions', ORPHANS.file_versions.missing, NO_FILE));
  for (const table of ['client_quotas', 'client_activity'] as const) {
    const { kind, missing } = ORPHANS[table];
    count(counts, kind, yield* quarantine(table, missing, NO_CLIENT));
  }
  count(counts, 'orphanTotals', yield* removeDerived());
  return counts;
});

/** Gives ids to clients without one and brings dates of theirs to UTC. */
export const repairClients = procedure('repair.clients', 'write', function* ({ timeZone }: WorkContext): Steps<Counts> {
  const counts: Counts = {};
  const odd = yield* all<StoredClient>(sql`SELECT rowid AS "row", ID AS "id", LastSeen AS "lastSeen" FROM clients
      WHERE ID IS NULL OR (LastSeen <> '' AND LastSeen NOT GLOB '????-??-??T??:??:??.???Z')`);
  for (const client of odd) yield* adoptClient(client, legacyDatesOf(timeZone), counts);
  return counts;
});

const rulesOf = ({ timeZone }: WorkContext, counts: Counts): GroupRules => ({
  dates: legacyDatesOf(timeZone),
  hasVersions: true,
  legacy: false,
  counts,
});

const rowsWithoutVersion = () =>
  all<{ row: number }>(sql`SELECT rowid AS "row" FROM files WHERE HighestVersion = 0
  LIMIT ${CHUNK}`);

function* adoptRows(context: WorkContext, counts: Counts): Steps<void> {
  const rules = rulesOf(context, counts);
  for (let rows = yield* rowsWithoutVersion(); rows.length > 0; rows = yield* rowsWithoutVersion()) {
    const done = new Set<number>();
    for (const { row } of rows) {
      if (done.has(row)) continue;
      for (const adopted of yield* adoptGroup(row, rules)) done.add(adopted);
    }
    if (done.size === 0) return; // nothing adoptable is left, so the loop never repeats the same rows
  }
}

const VERSION_COLUMNS = raw(columnList(inFileVersions(VERSION_FACTS)));

// The version that `files` names is gone: restore it from the file's facts.
function* putVersionsBack(counts: Counts, dialect: Dialect): Steps<void> {
  const number = dialect.greater(sql`f.CurrentVersion`, sql`1`);
  const facts = expressions(inFiles(VERSION_FACTS), 'f', { version: number });
  const { changes } = yield* run(sql`INSERT INTO file_versions (${VERSION_COLUMNS}, CreatedDate, IsActive)
    SELECT ${facts}, coalesce(f.ModificationDate, ${now()}), 1 FROM files f WHERE f.HighestVersion > 0 AND NOT EXISTS
    (SELECT 1 FROM file_versions v WHERE v.FileID = f.ID AND v.VersionNumber = ${number})`);
  count(counts, 'missingVersions', changes);
}

function* correctNumbers(counts: Counts, dialect: Dialect): Steps<void> {
  const highest = sql`(SELECT max(v.VersionNumber) FROM file_versions v WHERE v.FileID = files.ID)`;
  const { changes } = yield* run(sql`UPDATE files SET HighestVersion = ${dialect.greater(sql`HighestVersion`, highest)},
    CurrentVersion = ${dialect.greater(sql`CurrentVersion`, sql`1`)}
    WHERE HighestVersion > 0 AND (HighestVersion < ${highest} OR CurrentVersion < 1)`);
  count(counts, 'versionNumbers', changes);
}

function* adoptChanges(context: WorkContext, counts: Counts): Steps<void> {
  const changed = yield* all<{ row: number }>(sql`SELECT f.rowid AS "row" FROM files f
    JOIN file_versions v ON v.FileID = f.ID AND v.VersionNumber = f.CurrentVersion
    WHERE f.HighestVersion > 0 AND (v.PathName IS DISTINCT FROM f.PathName OR v.FileSize IS DISTINCT FROM f.FileSize
      OR v.CRC IS DISTINCT FROM f.CRC OR v.ModificationDate IS DISTINCT FROM f.ModificationDate
      OR v.Verified IS DISTINCT FROM f.Verified)`);
  const rules = rulesOf(context, {});
  for (const { row } of changed) yield* adoptChanged(row, rules);
  count(counts, 'changedFiles', changed.length);
}

function* correctActive(counts: Counts): Steps<void> {
  const active = sql`(SELECT f.CurrentVersion = file_versions.VersionNumber FROM files f WHERE f.ID = file_versions.FileID)`;
  const { changes } = yield* run(
    sql`UPDATE file_versions SET IsActive = ${active} WHERE IsActive IS DISTINCT FROM ${active}`,
  );
  count(counts, 'activeVersions', changes);
}

/** Files without a version, files that differ from their version, and missing versions. */
export const repairFiles = procedure('repair.files', 'write', function* (context: WorkContext, dialect): Steps<Counts> {
  const counts: Counts = {};
  yield* adoptRows(context, counts);
  yield* putVersionsBack(counts, dialect);
  yield* correctNumbers(counts, dialect);
  // Before the changes of files, which are compared with the active version.
  yield* correctActive(counts);
  yield* adoptChanges(context, counts);
  return counts;
});

/** Gives every client a quota, and recounts its use from its versions. */
export const repairQuotas = procedure('repair.quotas', 'write', function* (context: WorkContext): Steps<Counts> {
  return yield* giveQuotas({ ...context, legacy: false });
});

/** Removes expired reservations. */
export const repairReservations = procedure('repair.reservations', 'write', function* (_: null): Steps<Counts> {
  const { changes } = yield* run(sql`DELETE FROM quota_reservations WHERE ExpiresAt <= ${now()}
    OR NOT EXISTS (SELECT 1 FROM clients c WHERE c.ID = quota_reservations.ClientID)`);
  return { expiredReservations: changes };
});

function* note(rows: Sql): Steps<number> {
  const { changes } = yield* run(sql`INSERT INTO search_todo (FileRow) SELECT r FROM (${rows})
    WHERE r NOT IN (SELECT FileRow FROM search_todo)`);
  return changes;
}

/** Queues for the search index the files that it lacks, and those that it still has but are gone. */
export const repairSearch = procedure('repair.search', 'write', function* (_: null, dialect): Steps<Counts> {
  const exists = yield* one(dialect.hasTable('search_index_docsize'));
  if (exists === undefined) return {};
  const counts: Counts = {};
  const missing = sql`SELECT rowid AS r FROM files WHERE rowid NOT IN (SELECT id FROM search_index_docsize)`;
  const stale = sql`SELECT id AS r FROM search_index_docsize WHERE id NOT IN (SELECT rowid FROM files)`;
  count(counts, 'missingIndexRows', yield* note(missing));
  count(counts, 'staleIndexRows', yield* note(stale));
  return counts;
});

/** Journals what was repaired. */
export const reportRepair = procedure(
  'repair.report',
  'write',
  function* (report: {
    readonly counts: Readonly<Record<string, number>>;
    readonly backup: string | null;
  }): Steps<void> {
    yield* writeReport('repair', report);
  },
);
