/**
 * Turns all rows of one client, name and original path into one file with its versions: joins split transfers, turns
 * further rows into versions in the order of writing, and makes the newest current. The adopting migration and repair
 * both use it.
 */

import { insertInto } from '../../sql/named-values.ts';
import { all, run, type Steps } from '../../sql/procedure.ts';
import { join, raw, sql } from '../../sql/template.ts';
import { now } from '../../values/dates.ts';
import { inFileVersions } from '../../values/file-facts.ts';
import { idBytes, newId } from '../../values/ids.ts';
import type { LegacyDates } from '../dates.ts';
import { agree, areOneTransfer } from '../split-transfer.ts';
import {
  FACT_COLUMNS,
  type Facts,
  factsLeftOut,
  factsOf,
  type LegacyRow,
  mergeSplit,
  OLD_CONTENT,
  OLD_VERSION_CONTENT,
  oddColumns,
} from './facts.ts';
import { noteValue } from './quarantine.ts';

/** The counts of a group's adoption, by kind. */
export type Counts = Record<string, number>;

export const count = (counts: Counts, kind: string, by = 1): void => {
  if (by > 0) counts[kind] = (counts[kind] ?? 0) + by;
};

/** One transfer: one row, or the two of a split transfer. */
interface Entry {
  readonly rows: { readonly stored: LegacyRow; readonly facts: Facts }[];
  facts: Facts;
}

/** A version that is already in `file_versions`. */
interface StoredVersion {
  readonly versionNumber: number;
  readonly isActive: number | null;
  readonly pathName: unknown;
  readonly fileSize: unknown;
  readonly modificationDate: unknown;
  readonly crc: unknown;
}

/** The settings for adopting a group. */
export interface GroupRules {
  readonly dates: LegacyDates;
  /** Whether `file_versions` may hold versions of rows without a version number. */
  readonly hasVersions: boolean;
  /** Whether an old server wrote the rows: it never derived types, and gave every file the same category. */
  readonly legacy: boolean;
  readonly counts: Counts;
}

const STORED_FACTS = raw(OLD_CONTENT.map(({ name, files }) => `f.${files} AS "${name}"`).join(', '));

const rowsOfGroup = (row: number, hasVersions: boolean) =>
  all<LegacyRow>(sql`SELECT f.rowid AS "row", f.ID AS "id",
    ${raw(hasVersions ? 'EXISTS (SELECT 1 FROM file_versions v WHERE v.FileID = f.ID)' : '0')} AS "hasVersion",
    typeof(f.ID) = 'blob' AND length(f.ID) = 16 AS "hasId", f.FileName AS "fileName", ${STORED_FACTS},
    f.CurrentVersion AS "currentVersion", f.HighestVersion AS "highestVersion"
    FROM files k JOIN files f ON f.ClientID = k.ClientID AND f.FileName = k.FileName
      AND coalesce(f.OriginalPath, '') = coalesce(k.OriginalPath, '')
    WHERE k.rowid = ${row} ORDER BY f.rowid`);

const storedVersions = (id: Uint8Array) =>
  all<StoredVersion>(sql`SELECT VersionNumber AS "versionNumber",
    IsActive AS "isActive", PathName AS "pathName", FileSize AS "fileSize", ModificationDate AS "modificationDate",
    CRC AS "crc" FROM file_versions WHERE FileID = ${id} ORDER BY VersionNumber`);

const isSameVersion = (version: StoredVersion, facts: Facts) =>
  version.pathName === facts.pathName &&
  agree(version.fileSize, facts.fileSize) &&
  agree(version.modificationDate, facts.modificationDate) &&
  agree(version.crc, facts.crc);

/** The facts of a row, with those that only its version has. */
const filledFrom = (version: StoredVersion, facts: Facts): Facts => ({
  ...facts,
  fileSize: facts.fileSize ?? (version.fileSize as number | null),
  modificationDate: facts.modificationDate ?? (version.modificationDate as string | null),
  crc: facts.crc ?? (version.crc as number | null),
});

/** The transfers of the rows without a version, in the order of writing. */
function entriesOf(rows: readonly LegacyRow[], { dates, legacy }: GroupRules): Entry[] {
  const entries: Entry[] = [];
  for (const stored of rows) {
    const facts = factsOf(stored, dates, stored.hasVersion === 0 && (legacy || isEmptyType(stored)));
    const announced = entries.findLast((entry) => entry.rows.length === 1 && areOneTransfer(entry.facts, facts));
    if (announced === undefined) entries.push({ rows: [{ stored, facts }], facts });
    else {
      announced.rows.push({ stored, facts });
      announced.facts = mergeSplit(announced.facts, facts);
    }
  }
  return entries;
}

const isEmptyType = ({ mimeType, extension }: LegacyRow) => mimeType === null && extension === null;

const insertVersion = insertInto('file_versions', [
  { name: 'id', column: 'FileID' },
  { name: 'version', column: 'VersionNumber' },
  ...inFileVersions(OLD_VERSION_CONTENT),
  { name: 'created', column: 'CreatedDate' },
  { name: 'active', column: 'IsActive' },
  { name: 'parent', column: 'ParentVersionID' },
]);

/** Facts that {@link factsOf} limits to their bounds; a version has them even if unknown. */
const JUDGED: ReadonlySet<keyof Facts> = new Set(['fileSize', 'modificationDate', 'crc', 'verified']);

/** A group that becomes one file. */
class Group {
  readonly #rules: GroupRules;
  readonly #keeper: LegacyRow;
  readonly #id: Uint8Array;
  #highest: number;
  #current = 0;

  constructor(keeper: LegacyRow, rules: GroupRules) {
    this.#rules = rules;
    this.#keeper = keeper;
    this.#id = keeper.hasId === 1 && keeper.id !== null ? keeper.id : idBytes(newId());
    this.#highest = keeper.highestVersion;
  }

  *adopt(entries: readonly Entry[]): Steps<void> {
    for (const entry of entries) {
      yield* this.#keepOdd(entry.rows);
      yield* this.#version(entry);
      for (const row of entry.rows) yield* this.#keepRow(row, entry.facts);
    }
    const last = entries.at(-1);
    if (last !== undefined) yield* this.#writeFile(last.facts);
    yield* this.#deleteOthers(entries);
  }

  *#keepOdd(rows: Entry['rows']): Steps<void> {
    for (const { stored, facts } of rows) {
      for (const column of oddColumns(stored, facts)) {
        yield* noteValue('files', stored.row, this.#id, column);
        count(this.#rules.counts, column === FACT_COLUMNS.modificationDate ? 'unreadableDates' : 'oddValues');
      }
      if (facts.modificationDate !== null && facts.modificationDate !== stored.modificationDate) {
        count(this.#rules.counts, 'datesToUtc');
      }
    }
  }

  /** Gives a transfer its existing version, or a new one. */
  *#version(entry: Entry): Steps<void> {
    const known = this.#rules.hasVersions ? yield* this.#adoptVersions(entry.rows) : [];
    const same = known.findLast((version) => version.isActive === 1 && isSameVersion(version, entry.facts));
    if (same === undefined) {
      yield* this.#insertVersion(entry.facts);
      return;
    }
    this.#current = same.versionNumber;
    entry.facts = filledFrom(same, entry.facts);
    yield* this.#fillVersion(same.versionNumber, entry.facts);
  }

  /** The versions of the transfer's rows; renumbered after the file's if they belonged to another row. */
  *#adoptVersions(rows: Entry['rows']): Steps<StoredVersion[]> {
    const known: StoredVersion[] = [];
    for (const { stored } of rows) {
      if (stored.id === null) continue;
      for (const version of yield* storedVersions(stored.id)) {
        const isOwn = stored.row === this.#keeper.row;
        const versionNumber = isOwn ? version.versionNumber : this.#highest + 1;
        if (!isOwn || this.#id !== stored.id) {
          yield* run(sql`UPDATE file_versions SET FileID = ${this.#id}, VersionNumber = ${versionNumber}
            WHERE FileID = ${stored.id} AND VersionNumber = ${version.versionNumber}`);
        }
        this.#highest = Math.max(this.#highest, versionNumber);
        known.push({ ...version, versionNumber });
      }
    }
    return known;
  }

  *#insertVersion(facts: Facts): Steps<void> {
    const parent = this.#highest;
    this.#highest += 1;
    this.#current = this.#highest;
    const moment = now();
    const parentId =
      parent === 0
        ? raw('NULL')
        : sql`(SELECT ID FROM file_versions WHERE FileID = ${this.#id} AND VersionNumber = ${parent})`;
    const number = { id: this.#id, version: this.#current, parent: parentId };
    yield* run(insertVersion({ ...facts, ...number, created: facts.modificationDate ?? moment, active: 1 }));
    count(this.#rules.counts, 'versions');
  }

  *#fillVersion(versionNumber: number, facts: Facts): Steps<void> {
    const sets = OLD_VERSION_CONTENT.filter(({ name }) => name !== 'pathName').map(({ name, versions }) => {
      const column = raw(versions);
      return JUDGED.has(name) ? sql`${column} = ${facts[name]}` : sql`${column} = coalesce(${facts[name]}, ${column})`;
    });
    yield* run(sql`UPDATE file_versions SET ${join(sets, ', ')}
      WHERE FileID = ${this.#id} AND VersionNumber = ${versionNumber}`);
  }

  /**
   * Notes what the file and its version do not hold: the id of a removed row, and differing facts of the other row of a
   * split transfer.
   */
  *#keepRow({ stored, facts }: Entry['rows'][number], kept: Facts): Steps<void> {
    const leftOut = factsLeftOut(facts, kept);
    const isKeeper = stored.row === this.#keeper.row;
    if (isKeeper && stored.hasId === 0) count(this.#rules.counts, 'newIds');
    if (isKeeper && stored.hasId === 1 && leftOut === null) return;
    yield* run(sql`INSERT INTO adopted_rows (OldID, FileID, VersionNumber, Facts)
      VALUES (${stored.id}, ${this.#id}, ${this.#current}, ${leftOut})`);
  }

  *#writeFile(facts: Facts): Steps<void> {
    const keeper = this.#keeper;
    const changed = OLD_CONTENT.filter(({ name }) => keeper[name] !== facts[name]);
    const sets = changed.map(({ name, files }) => sql`${raw(files)} = ${facts[name]}`);
    if (keeper.hasId === 0) sets.push(sql`ID = ${this.#id}`);
    sets.push(sql`CurrentVersion = ${this.#current}`, sql`HighestVersion = ${this.#highest}`);
    yield* run(sql`UPDATE files SET ${join(sets, ', ')} WHERE rowid = ${keeper.row}`);
    if (this.#highest > 1) {
      yield* run(sql`UPDATE file_versions SET IsActive = CASE WHEN VersionNumber = ${this.#current} THEN 1 ELSE 0 END
        WHERE FileID = ${this.#id}`);
    }
    count(this.#rules.counts, 'files');
  }

  *#deleteOthers(entries: readonly Entry[]): Steps<void> {
    for (const { rows } of entries) {
      count(this.#rules.counts, 'splitTransfers', rows.length - 1);
      for (const { stored } of rows) {
        if (stored.row !== this.#keeper.row) yield* run(sql`DELETE FROM files WHERE rowid = ${stored.row}`);
      }
    }
  }
}

/** Adopts the group of a row; returns its rows, or none if the row is gone or has its version. */
export function* adoptGroup(row: number, rules: GroupRules): Steps<number[]> {
  const rows = yield* rowsOfGroup(row, rules.hasVersions);
  const without = rows.filter(({ highestVersion }) => highestVersion === 0);
  const [first] = without;
  if (first === undefined) return [];
  const keeper = rows.find(({ highestVersion }) => highestVersion > 0) ?? first;
  yield* new Group(keeper, rules).adopt(entriesOf(without, rules));
  return without.map((stored) => stored.row);
}

/** Adopts a row again if its facts no longer match its version. */
export function* adoptChanged(row: number, rules: GroupRules): Steps<void> {
  const stored = (yield* rowsOfGroup(row, true)).find((other) => other.row === row);
  if (stored !== undefined) yield* new Group(stored, rules).adopt(entriesOf([stored], rules));
}
