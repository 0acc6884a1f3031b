/**
 * The statements behind `versions.planPrune` and `versions.prune`: planning walks the files in batches on a reader;
 * pruning plans each file again in the transaction that removes its versions, so that it sees saves made in between.
 */

import { NotFoundError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { one, procedure, rows, run, type Steps } from '../sql/procedure.ts';
import { type Sql, sql } from '../sql/template.ts';
import { placesOf, type Row, selected } from '../sql/tuple.ts';
import { dateOut, now } from '../values/dates.ts';
import { idBytes } from '../values/ids.ts';
import type { Key } from '../values/pages.ts';
import { pathsFreedBy, unnamedPaths } from './freed-paths.ts';
import { type Quota, type QuotaRow, selectQuotas, toQuota } from './quota-rows.ts';
import { applyPolicy, type CheckedPolicy } from './retention-policy.ts';

/** The scope: all clients, one client, or one file. */
export interface Scope {
  readonly clientId: string | null;
  readonly fileId: string | null;
}

/** A policy and the time of its application. */
export interface Retention {
  readonly policy: CheckedPolicy;
  /** As dates are stored. */
  readonly at: string;
}

/** The plan of one file. */
export interface FilePlan {
  readonly fileId: string;
  readonly clientId: string;
  readonly kept: readonly (readonly [versionNumber: number, reasons: number])[];
  readonly removed: readonly (readonly [bytes: number, pathName: string])[];
}

/** Which files to plan next. */
export interface BatchToPlan {
  readonly scope: Scope;
  readonly retention: Retention;
  /** Include files that lose nothing. */
  readonly all: boolean;
  /** Where the previous batch ended. */
  readonly after: readonly Key[] | null;
}

/** The plans of some files, and where to continue; null at the end. */
export interface BatchPlan {
  readonly files: readonly FilePlan[];
  readonly after: readonly Key[] | null;
}

/** The result of pruning one file. */
export interface Pruned {
  readonly versions: number;
  readonly bytes: number;
  /** Contents that no version named any more at its commit. */
  readonly paths: readonly string[];
}

/** A version with the input of a policy and the effect of its removal. */
interface PlannedVersion {
  readonly fileId: string;
  readonly clientId: string;
  readonly fileName: string;
  readonly originalPath: string;
  readonly currentVersion: number;
  readonly versionNumber: number;
  readonly createdDate: string | null;
  readonly isActive: boolean;
  readonly bytes: number;
  readonly pathName: string;
  readonly versionId: number;
  readonly parentId: number | null;
}

const PLAN_COLUMNS = [
  { name: 'fileId', kind: 'id', column: 'f.ID' },
  { name: 'clientId', kind: 'id', column: 'f.ClientID' },
  { name: 'fileName', kind: 'plain', column: 'f.FileName' },
  { name: 'originalPath', kind: 'plain', column: "coalesce(f.OriginalPath, '')" },
  { name: 'currentVersion', kind: 'plain', column: 'f.CurrentVersion' },
  { name: 'versionNumber', kind: 'plain', column: 'v.VersionNumber' },
  { name: 'createdDate', kind: 'date', column: 'v.CreatedDate' },
  { name: 'isActive', kind: 'flag', column: 'v.IsActive' },
  { name: 'bytes', kind: 'size', column: 'v.FileSize' },
  { name: 'pathName', kind: 'plain', column: 'v.PathName' },
  { name: 'versionId', kind: 'plain', column: 'v.ID' },
  { name: 'parentId', kind: 'plain', column: 'v.ParentVersionID' },
] as const;

type PlanRow = Row<typeof PLAN_COLUMNS, PlannedVersion>;

const PLAN = placesOf(PLAN_COLUMNS);

const BATCH_ROWS = 2_000; // versions in one batch: a few milliseconds of one reader
const QUOTAS_AT_ONCE = 1_000;

const selectedPlan = selected(PLAN_COLUMNS, ({ column }) => column);

const planColumns = (dialect: Dialect) =>
  sql`${selectedPlan(dialect)} FROM files f JOIN file_versions v ON v.FileID = f.ID`;

const rowsOfFile = (fileId: string, dialect: Dialect) =>
  rows<PlanRow>(sql`SELECT ${planColumns(dialect)} WHERE f.ID = ${idBytes(fileId)} ORDER BY v.VersionNumber`);

const everyRows = (after: readonly Key[] | null, dialect: Dialect) => {
  const [fileId] = after ?? [];
  const condition = fileId === undefined ? sql`1 = 1` : sql`v.FileID > ${idBytes(String(fileId))}`;
  return rows<PlanRow>(sql`SELECT ${planColumns(dialect)} WHERE ${condition}
    ORDER BY v.FileID, v.VersionNumber LIMIT ${BATCH_ROWS + 1}`);
};

// In the order of the index that begins with the client. The rest of one name and the names after it are two queries,
// because one comparison of all keys would read every file of that name again.
function* clientRows(clientId: string, after: readonly Key[] | null, dialect: Dialect): Steps<PlanRow[]> {
  const rowsWhere = (condition: Sql, limit: number) =>
    rows<PlanRow>(sql`SELECT ${planColumns(dialect)} WHERE f.ClientID = ${idBytes(clientId)} AND ${condition}
      ORDER BY f.FileName, coalesce(f.OriginalPath, ''), f.ID, v.VersionNumber LIMIT ${limit}`);
  const limit = BATCH_ROWS + 1;
  if (after === null) return yield* rowsWhere(sql`1 = 1`, limit);
  const [fileId, fileName, path] = after;
  const same = yield* rowsWhere(
    sql`f.FileName = ${fileName} AND coalesce(f.OriginalPath, '') >= ${path}
      AND (coalesce(f.OriginalPath, ''), f.ID) > (${path}, ${idBytes(String(fileId))})`,
    limit,
  );
  if (same.length >= limit) return same;
  return [...same, ...(yield* rowsWhere(sql`f.FileName > ${fileName}`, limit - same.length))];
}

const byFile = (found: readonly PlanRow[]): PlanRow[][] => [
  ...Map.groupBy(found, (version) => version[PLAN.fileId]).values(),
];

/** The versions of some complete files, and where to continue. */
function* wholeFiles(scope: Scope, after: readonly Key[] | null, dialect: Dialect): Steps<[PlanRow[][], Key[] | null]> {
  if (scope.fileId !== null) return [byFile(yield* rowsOfFile(scope.fileId, dialect)), null];
  const found =
    scope.clientId === null ? yield* everyRows(after, dialect) : yield* clientRows(scope.clientId, after, dialect);
  const files = byFile(found);
  if (found.length <= BATCH_ROWS) return [files, null];
  // The last file may be incomplete: it begins the next batch, unless this batch has no other.
  const [only] = found;
  const whole =
    files.length > 1 || only === undefined ? files.slice(0, -1) : [yield* rowsOfFile(only[PLAN.fileId], dialect)];
  const last = whole.at(-1)?.at(-1);
  return [whole, last === undefined ? null : [last[PLAN.fileId], last[PLAN.fileName], last[PLAN.originalPath]]];
}

/** The reasons to keep each version; 0 if it goes. */
function decide(versions: readonly PlanRow[], { policy, at }: Retention): number[] {
  const dated = versions.map((version) => {
    const date = dateOut(version[PLAN.createdDate]);
    const versionNumber = version[PLAN.versionNumber];
    return {
      versionNumber,
      created: date === null ? null : Date.parse(date),
      // A row of an old server may show it in only one of the two.
      isActive: versionNumber === version[PLAN.currentVersion] || version[PLAN.isActive] === 1,
    };
  });
  return applyPolicy(dated, policy, Date.parse(at));
}

function planOf(versions: readonly PlanRow[], retention: Retention): FilePlan {
  const reasons = decide(versions, retention);
  const [first] = versions;
  const isKept = (place: number) => reasons[place] !== 0;
  return {
    fileId: first?.[PLAN.fileId] ?? '',
    clientId: first?.[PLAN.clientId] ?? '',
    kept: versions.flatMap((version, place) =>
      isKept(place) ? [[version[PLAN.versionNumber], reasons[place] ?? 0]] : [],
    ),
    removed: versions.flatMap((version, place) =>
      isKept(place) ? [] : [[version[PLAN.bytes], version[PLAN.pathName]]],
    ),
  };
}

export const planBatch = procedure(
  'versions.planBatch',
  'read',
  function* ({ scope, retention, all, after }: BatchToPlan, dialect): Steps<BatchPlan> {
    const [files, next] = yield* wholeFiles(scope, after, dialect);
    const plans = files.map((versions) => planOf(versions, retention));
    return { files: all ? plans : plans.filter(({ removed }) => removed.length > 0), after: next };
  },
  { alone: true },
);

/** The nearest older version that stays. */
function keptAncestor(parent: number | null, removed: ReadonlyMap<number, number | null>): number | null {
  const seen = new Set<number>();
  let found = parent;
  while (found !== null && removed.has(found) && !seen.has(found)) {
    seen.add(found);
    found = removed.get(found) ?? null;
  }
  return found !== null && removed.has(found) ? null : found;
}

// An old server's schema declares the parent as a foreign key: kept versions must not reference removed ones, and
// younger versions go first.
function* removeVersions(kept: readonly PlanRow[], removed: readonly PlanRow[]): Steps<void> {
  const parents = new Map(removed.map((version) => [version[PLAN.versionId], version[PLAN.parentId]]));
  for (const version of kept) {
    const parentId = version[PLAN.parentId];
    if (parentId === null || !parents.has(parentId)) continue;
    const parent = keptAncestor(parentId, parents);
    yield* run(sql`UPDATE file_versions SET ParentVersionID = ${parent} WHERE ID = ${version[PLAN.versionId]}`);
  }
  for (const versionId of [...parents.keys()].sort((a, b) => b - a)) {
    yield* run(sql`DELETE FROM file_versions WHERE ID = ${versionId}`);
  }
}

/** Removes the versions of one file that the policy does not keep now. */
export const pruneFile = procedure(
  'versions.pruneFile',
  'write',
  function* ({ fileId, policy }: { fileId: string; policy: CheckedPolicy }, dialect): Steps<Pruned> {
    const versions = yield* rowsOfFile(fileId, dialect);
    // By the clock of this transaction: a version saved since pruning began is not in the future.
    const reasons = decide(versions, { policy, at: now() });
    const removed = versions.filter((_, place) => reasons[place] === 0);
    yield* removeVersions(
      versions.filter((_, place) => reasons[place] !== 0),
      removed,
    );
    const bytes = removed.reduce((sum, version) => sum + version[PLAN.bytes], 0);
    return {
      versions: removed.length,
      bytes,
      paths: yield* unnamedPaths(removed.map((version) => version[PLAN.pathName])),
    };
  },
);

/** The paths that no row names. */
export const findUnnamed = procedure('versions.findUnnamed', 'read', function* (paths: readonly string[]) {
  return yield* unnamedPaths(paths);
});

/** The paths that no row would name after removing this many rows of each. */
export const findFreed = procedure(
  'versions.findFreed',
  'read',
  function* (removals: readonly (readonly [path: string, removed: number])[]): Steps<string[]> {
    return yield* pathsFreedBy(removals);
  },
);

/** @throws {NotFoundError} if the client or file does not exist */
export const requireScope = procedure(
  'versions.requireScope',
  'read',
  function* ({ clientId, fileId }: Scope, dialect): Steps<Scope> {
    if (clientId !== null) {
      const known = yield* one(sql`SELECT 1 AS "known" FROM clients WHERE ID = ${idBytes(clientId)}`);
      if (known === undefined) throw new NotFoundError(`client ${clientId}`);
    }
    if (fileId === null) return { clientId, fileId };
    const found = yield* one<{ clientId: string }>(sql`SELECT ${dialect.hex('ClientID')} AS "clientId" FROM files
      WHERE ID = ${idBytes(fileId)}`);
    const isTheirs = found !== undefined && (clientId === null || found.clientId === clientId);
    if (!isTheirs) throw new NotFoundError(`file ${fileId}${clientId === null ? '' : ` of client ${clientId}`}`);
    return { clientId: found.clientId, fileId };
  },
);

/** The quotas of the clients in scope, by id, page by page. */
export const quotasInScope = procedure(
  'versions.quotasInScope',
  'read',
  function* ({ clientId, at, after }: { clientId: string | null; at: string; after: string }, dialect) {
    const condition = clientId === null ? sql`c.ID > ${idBytes(after)}` : sql`c.ID = ${idBytes(clientId)}`;
    return yield* rows<QuotaRow>(
      sql`${selectQuotas(dialect, at)} WHERE ${condition} ORDER BY c.ID LIMIT ${QUOTAS_AT_ONCE}`,
    );
  },
  { decode: (found): Quota[] => found.map(toQuota) },
);
