/**
 * Two marks that a catalogue carries in its content: its greatest backup number, and the token of the restore that put
 * the content in place. They are rows of `sqlite_sequence`, SQLite's own table of growing numbers: copies, VACUUM and
 * migrations keep them, no trigger can exist on that table, and no server looks at rows that do not name a table. So
 * they need no migration.
 */

/** The names of the rows. */
export const MARKS = { sequence: 'backup-catalog backups', token: 'backup-catalog restore' } as const;

/** Tells a content from another one that replaces it or is migrated from it. */
export interface ContentMark {
  /** The token of the restore that put it in place; null without one. */
  readonly token: string | null;
  readonly schemaVersion: number | null;
}

/** Whether two marks belong to the same content; saves do not change it. */
export const isSameContent = (one: ContentMark, other: ContentMark): boolean =>
  one.token === other.token && one.schemaVersion === other.schemaVersion;

/** The next number. After the greatest safe integer it repeats that number, and the time decides. */
export const following = (sequence: number): number => Math.min(sequence + 1, Number.MAX_SAFE_INTEGER);

/** The mark written to a stage before the swap. */
export interface StageMark {
  readonly token: string;
  /** The number of its backup, if known; the recorded number never falls below it. */
  readonly sequence: number | null;
}

/** Queries a database: returns the first value of the first row, or null without a row. */
export type Ask = (query: string) => unknown;

const hasTable = (ask: Ask, name: string) =>
  ask(`SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name = '${name}'`) !== null;

/** Reads the mark of a content. */
export function contentMark(ask: Ask): ContentMark {
  const token = hasTable(ask, 'sqlite_sequence')
    ? ask(`SELECT seq FROM sqlite_sequence WHERE name = '${MARKS.token}'`)
    : null;
  const version = hasTable(ask, 'catalog_migrations') ? ask('SELECT max(version) FROM catalog_migrations') : null;
  return { token: token === null ? null : String(token), schemaVersion: version === null ? null : Number(version) };
}

/** SQL for the greatest known backup number of this content; 0 without one, at most 2^53-1. */
export const RECORDED_SEQUENCE = `SELECT coalesce(max(0, min(CAST(max(seq) AS INTEGER), 9007199254740991)), 0) AS "sequence"
  FROM sqlite_sequence WHERE name = '${MARKS.sequence}'`;

/** Reads the number that {@link RECORDED_SEQUENCE} selects. */
export const recordedSequence = (ask: Ask): number =>
  hasTable(ask, 'sqlite_sequence') ? Number(ask(RECORDED_SEQUENCE)) : 0;
