/**
 * The triggers that maintain quota use and the running totals. Migrations define how a row's size is measured; the
 * texts of released migrations never change.
 */
import { SIZE_BOUNDS } from '../values/size-bands.ts';

/** How to measure the size of a row; `row` is NEW, OLD or a table. */
export interface Measure {
  /** Bytes that count for its quota. */
  readonly used: (row: string) => string;
  /** Bytes that count for totals of files. */
  readonly bytes: (row: string) => string;
  /** The value that determines the size band. */
  readonly size: (row: string) => string;
}

/** SQL for the band of a size: the place of its lower bound, or -1 for an unknown size. */
const bandOf = (size: string) => {
  const cases = [...SIZE_BOUNDS.entries()].reverse().map(([band, min]) => `WHEN ${size} >= ${min} THEN ${band}`);
  return `CASE ${cases.join(' ')} ELSE -1 END`;
};

/** The key and figures of a file in `file_totals`. */
export const kindOf = (row: string, measure: Measure) => ({
  category: `coalesce(${row}.FileCategory, '')`,
  extension: `coalesce(${row}.FileExtension, '')`,
  band: bandOf(measure.size(row)),
  verified: `CASE WHEN ${row}.Verified = 1 THEN 1 ELSE 0 END`,
  bytes: measure.bytes(row),
});

const countKind = (row: string, measure: Measure) => {
  const { category, extension, band, verified, bytes } = kindOf(row, measure);
  return `INSERT INTO file_totals (Category, Extension, SizeBand, Verified, Files, Bytes)
    VALUES (${category}, ${extension}, ${band}, ${verified}, 1, ${bytes})
    ON CONFLICT (Category, Extension, SizeBand, Verified)
    DO UPDATE SET Files = Files + 1, Bytes = Bytes + excluded.Bytes;`;
};

const uncountKind = (row: string, measure: Measure) => {
  const { category, extension, band, verified, bytes } = kindOf(row, measure);
  return `UPDATE file_totals SET Files = Files - 1, Bytes = Bytes - (${bytes})
    WHERE Category = ${category} AND Extension = ${extension} AND SizeBand = ${band} AND Verified = ${verified};`;
};

/** As {@link uncountKind}, but also right before the file was counted: a trigger of somebody else may come between. */
const uncountAnyKind = (row: string, measure: Measure) => {
  const { category, extension, band, verified, bytes } = kindOf(row, measure);
  return `INSERT INTO file_totals (Category, Extension, SizeBand, Verified, Files, Bytes)
    VALUES (${category}, ${extension}, ${band}, ${verified}, -1, 0 - (${bytes}))
    ON CONFLICT (Category, Extension, SizeBand, Verified)
    DO UPDATE SET Files = Files - 1, Bytes = Bytes + excluded.Bytes;`;
};

const countClient = (row: string, sign: '+' | '-', { bytes }: Measure) =>
  `UPDATE client_quotas SET FileCount = FileCount ${sign} 1, FileBytes = FileBytes ${sign} (${bytes(row)})
    WHERE ClientID = ${row}.ClientID;`;

// A save writes the day once, with the version that follows the file, so a change of the file alone has to record it
// here.
const recordDay = (row: string, condition: string) =>
  `INSERT INTO daily_totals (Date, ClientID, Files, Bytes, UsedBytes)
    SELECT date('now'), ClientID, FileCount, FileBytes, coalesce(UsedBytes, 0) FROM client_quotas
    WHERE ClientID = ${row}.ClientID AND ${condition}
    ON CONFLICT (ClientID, Date)
    DO UPDATE SET Files = excluded.Files, Bytes = excluded.Bytes, UsedBytes = excluded.UsedBytes;`;

const WATCHED = ['FileCategory', 'FileExtension', 'FileSize', 'Verified', 'ClientID'];

function recounts(unless: string | undefined): string {
  const changes = WATCHED.map((column) => `OLD.${column} IS NOT NEW.${column}`).join(' OR ');
  return unless === undefined ? changes : `NOT ${unless} AND (${changes})`;
}

/**
 * The triggers of the running totals, by name; those that measure a size come first. While the SQL condition `unless`
 * holds, triggers that a save fires count nothing.
 */
export function totalTriggers(measure: Measure, unless?: string): Readonly<Record<string, string>> {
  const uncount = unless === undefined ? uncountKind : uncountAnyKind;
  return {
    catalog_file_counted: `AFTER INSERT ON files${unless === undefined ? '' : ` WHEN NOT ${unless}`} BEGIN
    ${countKind('NEW', measure)} ${countClient('NEW', '+', measure)} ${recordDay('NEW', 'NEW.HighestVersion = 0')} END`,
    catalog_file_uncounted: `AFTER DELETE ON files BEGIN
    ${uncount('OLD', measure)} ${countClient('OLD', '-', measure)} ${recordDay('OLD', '1 = 1')} END`,
    catalog_file_recounted: `AFTER UPDATE OF ${WATCHED.join(', ')} ON files
    WHEN ${recounts(unless)} BEGIN
      ${uncount('OLD', measure)} ${countKind('NEW', measure)} ${countClient('OLD', '-', measure)} ${countClient('NEW', '+', measure)}
      ${recordDay('OLD', 'OLD.ClientID IS NOT NEW.ClientID')}
      ${recordDay('NEW', 'NEW.HighestVersion = OLD.HighestVersion')} END`,
    catalog_day_recorded: `AFTER UPDATE OF UsedBytes ON client_quotas BEGIN ${recordDay('NEW', '1 = 1')} END`,
  };
}

const useOf = (file: string, bytes: string) =>
  `UPDATE client_quotas SET UsedBytes = coalesce(UsedBytes, 0) + ${bytes},
    LastUpdated = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE ClientID = (SELECT ClientID FROM files WHERE ID = ${file})`;

/** The triggers of quota use, as statements; `unless` as in {@link totalTriggers}. */
export const useTriggers = ({ used }: Measure, unless?: string): readonly string[] => [
  `CREATE TRIGGER catalog_version_inserted AFTER INSERT ON file_versions${unless === undefined ? '' : ` WHEN NOT ${unless}`} BEGIN
      ${useOf('NEW.FileID', used('NEW'))}; END`,
  `CREATE TRIGGER catalog_version_resized AFTER UPDATE OF FileSize ON file_versions BEGIN
      ${useOf('NEW.FileID', `${used('NEW')} - ${used('OLD')}`)}; END`,
  `CREATE TRIGGER catalog_version_deleted AFTER DELETE ON file_versions BEGIN
      ${useOf('OLD.FileID', `0 - ${used('OLD')}`)}; END`,
];

/** Every size as stored: the rule of the first releases. */
export const AS_STORED: Measure = {
  used: (row) => `coalesce(${row}.FileSize, 0)`,
  bytes: (row) => `CASE WHEN ${row}.FileSize > 0 THEN ${row}.FileSize ELSE 0 END`,
  size: (row) => `${row}.FileSize`,
};
