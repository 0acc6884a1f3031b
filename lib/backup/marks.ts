/**
 * Two marks that a catalogue carries within its content: the greatest number its backups have had, and the token of the
 * restore that put the content there. They are rows of `sqlite_sequence`, SQLite's own table of numbers that only grow:
 * copies, VACUUM and every migration keep them, no trigger can stand on that table, and no server looks at rows that name
 * no table. So they need no migration.
 */

/** The names of the rows. */
export const MARKS = { sequence: 'backup-catalog backups', token: 'backup-catalog restore' } as const;

/** What tells one content from another that is put in its place, or brought to another schema. */
export interface ContentMark {
  /** Of the restore that put it there; null when none did. */
  readonly token: string | null;
  readonly schemaVersion: number | null;
}

/** Whether two marks are of one content; saves do not change it. */
export const isSameContent = (one: ContentMark, other: ContentMark): boolean =>
  one.token === other.token && one.schemaVersion === other.schemaVersion;

/** The number after another; at the end of all safe numbers the last one again, where the time decides. */
export const following = (sequence: number): number => Math.min(sequence + 1, Number.MAX_SAFE_INTEGER);

/** What is written into a stage before it is put in place. */
export interface StageMark {
  readonly token: string;
  /** The number of the backup it comes from, where that is known; the recorded one never falls below it. */
  readonly sequence: number | null;
}

/** Asks a database: the first value of the first row, null without one. */
export type Ask = (query: string) => unknown;

const hasTable = (ask: Ask, name: string) =>
  ask(`SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name = '${name}'`) !== null;

/** The mark of a content. */
export function contentMark(ask: Ask): ContentMark {
  const token = hasTable(ask, 'sqlite_sequence')
    ? ask(`SELECT seq FROM sqlite_sequence WHERE name = '${MARKS.token}'`)
    : null;
  const version = hasTable(ask, 'catalog_migrations') ? ask('SELECT max(version) FROM catalog_migrations') : null;
  return { token: token === null ? null : String(token), schemaVersion: version === null ? null : Number(version) };
}

/** The greatest number that a backup of this content is known to have had, as SQL; 0 without one, never beyond 2^53-1. */
export const RECORDED_SEQUENCE = `SELECT coalesce(max(0, min(CAST(max(seq) AS INTEGER), 9007199254740991)), 0) AS "sequence"
  FROM sqlite_sequence WHERE name = '${MARKS.sequence}'`;

/** The number of {@link RECORDED_SEQUENCE}. */
export const recordedSequence = (ask: Ask): number =>
  hasTable(ask, 'sqlite_sequence') ? Number(ask(RECORDED_SEQUENCE)) : 0;
