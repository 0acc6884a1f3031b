/**
 * The questions of health to the database. Each is a separate procedure, so that a failing one does not affect the
 * others; none reads more rows than it returns, or than there are clients near their limit. If the schema is too old
 * for a question, the answer is null.
 */
import { QUOTA_WARNED } from '../core/quota-warnings.ts';
import { indexProblem } from '../core/search-index-table.ts';
import { all, one, procedure, type Steps } from '../sql/procedure.ts';
import { raw, type Sql, sql } from '../sql/template.ts';

/** The size of the schema and of the database. */
export interface SchemaFigures {
  readonly tables: number;
  readonly indexes: number;
  readonly bytes: number;
  readonly pages: number;
  readonly freePages: number;
}

interface Pages {
  readonly pageSize: number;
  readonly pageCount: number;
  readonly freePages: number;
}

const NO_PAGES: Pages = { pageSize: 0, pageCount: 0, freePages: 0 };

function* isThere(lookUp: Sql): Steps<boolean> {
  return (yield* one(lookUp)) !== undefined;
}

export const schemaFigures = procedure('health.schema', 'read', function* (_: null, dialect): Steps<SchemaFigures> {
  const tables = yield* all(dialect.tables());
  const indexes = yield* all(dialect.indexes());
  const { pageSize, pageCount, freePages } = (yield* one<Pages>(dialect.pages())) ?? NO_PAGES;
  return { tables: tables.length, indexes: indexes.length, bytes: pageSize * pageCount, pages: pageCount, freePages };
});

/** Takes and releases the write lock, which shows that the writer can write. */
export const probeWriter = procedure('health.probe', 'write', function* (_: null): Steps<null> {
  yield* one(sql`SELECT 1 AS "alive"`);
  return null;
});

const WARNED_INDEX = 'idx_client_quotas_warned';

/** Counts the clients that have reached their warning threshold, reading only their index. */
export const warnedClients = procedure('health.quotas', 'read', function* (_: null, dialect): Steps<number | null> {
  if (!(yield* isThere(dialect.hasIndex(WARNED_INDEX)))) return null;
  const found = yield* one<{ count: number }>(sql`SELECT count(*) AS "count" FROM client_quotas
    ${dialect.through(WARNED_INDEX)} WHERE ${raw(QUOTA_WARNED)}`);
  return found?.count ?? 0;
});

/** Transfers, and how many of them failed. */
export interface TransferFigures {
  readonly attempts: number;
  readonly failed: number;
}

/** The transfers from a UTC day on, as `YYYY-MM-DD`. */
export const transfersSince = procedure(
  'health.transfers',
  'read',
  function* (from: string, dialect): Steps<TransferFigures | null> {
    if (!(yield* isThere(dialect.hasTable('transfer_stats')))) return null;
    const found = yield* one<TransferFigures>(sql`SELECT coalesce(sum(TotalFiles), 0) AS "attempts",
    coalesce(sum(FailedTransfers), 0) AS "failed" FROM transfer_stats WHERE Date >= ${from}`);
    return found ?? null;
  },
);

/** Measurements of the database's size. */
export interface SizeFigures {
  /** Whether the day has been measured. */
  readonly hasToday: boolean;
  /** The last measurement of an earlier day. */
  readonly before: { readonly bytes: number; readonly measuredAt: string } | null;
}

export const sizesBefore = procedure(
  'health.sizes',
  'read',
  function* (today: string, dialect): Steps<SizeFigures | null> {
    if (!(yield* isThere(dialect.hasTable('daily_sizes')))) return null;
    const measured = yield* one(sql`SELECT 1 AS "found" FROM daily_sizes WHERE Date = ${today}`);
    const before = yield* one<NonNullable<SizeFigures['before']>>(sql`SELECT DatabaseBytes AS "bytes",
    MeasuredAt AS "measuredAt" FROM daily_sizes WHERE Date < ${today} ORDER BY Date DESC LIMIT 1`);
    return { hasToday: measured !== undefined, before: before ?? null };
  },
);

/** The state of the search index. */
export interface SearchFigures {
  /** Changed files that are not indexed yet, counted up to a bound. */
  readonly waiting: number;
  /** Why it is unusable, in words; null if it is usable. */
  readonly problem: string | null;
}

interface IndexQuestion {
  /** The bound of that count. */
  readonly most: number;
  /** An error that an earlier call met in the index, which is then not queried again. */
  readonly met: string | null;
}

/** Examines the search index. */
export const searchFigures = procedure(
  'health.search',
  'read',
  function* ({ most, met }: IndexQuestion, dialect): Steps<SearchFigures | null> {
    if (!(yield* isThere(dialect.hasTable('search_todo')))) return null;
    const found = yield* one<{ waiting: number }>(sql`SELECT count(*) AS "waiting"
      FROM (SELECT 1 FROM search_todo LIMIT ${dialect.unplanned(most)}) t`);
    const problem = met === null ? yield* indexProblem(dialect) : `it cannot be read: ${met}`;
    return { waiting: found?.waiting ?? 0, problem };
  },
);
