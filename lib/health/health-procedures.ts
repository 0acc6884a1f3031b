/**
 * What health asks of the database. Each question is a procedure of its own, so that one that cannot be answered leaves
 * the others be; none looks at more rows than it answers with, or than there are clients near their limit. Where the schema
 * is too old for a question the answer is null.
 */
import { QUOTA_WARNED } from '../core/quota-warnings.ts';
import { isIndexDamage } from '../core/search-index-table.ts';
import { all, one, procedure, type Steps } from '../sql/procedure.ts';
import { raw, sql } from '../sql/template.ts';

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

function* has(name: string): Steps<boolean> {
  const found = yield* one(sql`SELECT 1 AS "found" FROM sqlite_schema WHERE name = ${name}`);
  return found !== undefined;
}

export const schemaFigures = procedure('health.schema', 'read', function* (_: null, dialect): Steps<SchemaFigures> {
  const tables = yield* all(dialect.tables());
  const indexes = yield* all(dialect.indexes());
  const { pageSize, pageCount, freePages } = (yield* one<Pages>(dialect.pages())) ?? NO_PAGES;
  return { tables: tables.length, indexes: indexes.length, bytes: pageSize * pageCount, pages: pageCount, freePages };
});

/** Takes the write lock and gives it back: whether the writer is there and can write. */
export const probeWriter = procedure('health.probe', 'write', function* (_: null): Steps<null> {
  yield* one(sql`SELECT 1 AS "alive"`);
  return null;
});

/** Clients that have reached their warning threshold; the index that holds them is walked, and nothing else. */
export const warnedClients = procedure('health.quotas', 'read', function* (_: null): Steps<number | null> {
  if (!(yield* has('idx_client_quotas_warned'))) return null;
  const found = yield* one<{ count: number }>(sql`SELECT count(*) AS "count" FROM client_quotas
    INDEXED BY idx_client_quotas_warned WHERE ${raw(QUOTA_WARNED)}`);
  return found?.count ?? 0;
});

/** Attempts to transfer, and how many of them failed. */
export interface TransferFigures {
  readonly attempts: number;
  readonly failed: number;
}

/** The transfers from a UTC day on, as `YYYY-MM-DD`. */
export const transfersSince = procedure(
  'health.transfers',
  'read',
  function* (from: string): Steps<TransferFigures | null> {
    if (!(yield* has('transfer_stats'))) return null;
    const found = yield* one<TransferFigures>(sql`SELECT coalesce(sum(TotalFiles), 0) AS "attempts",
    coalesce(sum(FailedTransfers), 0) AS "failed" FROM transfer_stats WHERE Date >= ${from}`);
    return found ?? null;
  },
);

/** What was measured of the database's size. */
export interface SizeFigures {
  /** Whether the day has been measured. */
  readonly hasToday: boolean;
  /** The last measurement of an earlier day. */
  readonly before: { readonly bytes: number; readonly measuredAt: string } | null;
}

export const sizesBefore = procedure('health.sizes', 'read', function* (today: string): Steps<SizeFigures | null> {
  if (!(yield* has('daily_sizes'))) return null;
  const measured = yield* one(sql`SELECT 1 AS "found" FROM daily_sizes WHERE Date = ${today}`);
  const before = yield* one<NonNullable<SizeFigures['before']>>(sql`SELECT DatabaseBytes AS "bytes",
    MeasuredAt AS "measuredAt" FROM daily_sizes WHERE Date < ${today} ORDER BY Date DESC LIMIT 1`);
  return { hasToday: measured !== undefined, before: before ?? null };
});

/** How the search index stands. */
export interface SearchFigures {
  /** Changed files it has not taken in, counted up to a bound. */
  readonly waiting: number;
  /** What keeps it from being used, in words; null when nothing does. */
  readonly problem: string | null;
}

const SEARCH_TABLES = ['search_index', 'search_index_docsize', 'search_vocabulary'];

// The first file and the last, by row: an index that was emptied lacks both, one that other programs wrote past the last.
const ENDS = ['min', 'max'] as const;

function* searchProblem(): Steps<string | null> {
  for (const name of SEARCH_TABLES) if (!(yield* has(name))) return `its table ${name} is gone`;
  try {
    yield* one(sql`SELECT rowid FROM search_index WHERE search_index MATCH '"any"' LIMIT 1`);
    for (const end of ENDS) {
      const lacking = yield* one(sql`SELECT 1 AS "lacking" FROM (SELECT ${raw(end)}(rowid) AS r FROM files) f
        WHERE f.r IS NOT NULL AND NOT EXISTS (SELECT 1 FROM search_index_docsize d WHERE d.id = f.r)
          AND NOT EXISTS (SELECT 1 FROM search_todo t WHERE t.FileRow = f.r)`);
      if (lacking !== undefined) return 'it lacks files that nothing tells it of';
    }
    return null;
  } catch (error) {
    if (!isIndexDamage(error)) throw error;
    return `it cannot be read: ${error.message}`;
  }
}

interface IndexQuestion {
  /** Rows that wait are counted up to this. */
  readonly most: number;
  /** What an earlier call met in the index, which is not asked again then. */
  readonly met: string | null;
}

/** Looks at the search index. */
export const searchFigures = procedure(
  'health.search',
  'read',
  function* ({ most, met }: IndexQuestion): Steps<SearchFigures | null> {
    if (!(yield* has('search_todo'))) return null;
    const found = yield* one<{ waiting: number }>(sql`SELECT count(*) AS "waiting"
      FROM (SELECT 1 FROM search_todo LIMIT CAST(${most} AS INTEGER))`);
    const problem = met === null ? yield* searchProblem() : `it cannot be read: ${met}`;
    return { waiting: found?.waiting ?? 0, problem };
  },
);
