/**
 * Rows that an old server or raw SQL inserted: they have no version. A save first makes versions of such rows of its
 * file, in the order of writing, so that their facts are kept and are older than the save. Other such rows are left to
 * repair.
 */

import { isTimeZone, systemTimeZone } from '../runtime/time-zone.ts';
import { columnList, expressions } from '../sql/named-values.ts';
import { all, one, run, type Steps } from '../sql/procedure.ts';
import { raw, sql } from '../sql/template.ts';
import { CURRENT_FACTS, inFiles, inFileVersions, VERSION_FACTS } from '../values/file-facts.ts';
import type { FileToSave } from '../values/file-input.ts';
import { idBytes, newId } from '../values/ids.ts';
import { legacyDatesOf } from './dates.ts';
import { areOneTransfer, type StoredTransfer, type Transfer, transferOf } from './split-transfer.ts';

/** A row of a file, from the old server or ours. */
interface StoredRow extends StoredTransfer {
  readonly row: number;
  readonly hasId: 0 | 1;
  /** 0 without a version. */
  readonly highest: number;
  /** The highest number of versions with its id, left by a replaced row; null without any. */
  readonly replaced: number | null;
}

const rowsOf = ({ clientId, fileName, originalPath }: FileToSave) =>
  all<StoredRow>(sql`SELECT rowid AS "row", typeof(ID) = 'blob' AND length(ID) = 16 AS "hasId",
    HighestVersion AS "highest", PathName AS "pathName", FileSize AS "fileSize", CRC AS "crc", Verified AS "verified",
    ModificationDate AS "modificationDate", (SELECT max(v.VersionNumber) FROM file_versions v WHERE v.FileID = files.ID)
    AS "replaced" FROM files WHERE ClientID = ${idBytes(clientId)} AND FileName = ${fileName}
    AND coalesce(OriginalPath, '') = ${originalPath ?? ''} ORDER BY rowid`);

/** A row that becomes a version. */
interface Entry {
  readonly row: StoredRow;
  readonly transfer: Transfer;
  readonly version: number;
}

/** The row that stays and takes the facts of all. */
interface Keeper {
  readonly row: number;
  readonly id: Uint8Array;
}

function* keeperOf({ row, hasId }: StoredRow): Steps<Keeper> {
  if (hasId === 0) {
    const id = idBytes(newId());
    yield* run(sql`INSERT INTO adopted_rows (OldID, FileID, VersionNumber) SELECT ID, ${id}, 1 FROM files
      WHERE rowid = ${row}`);
    yield* run(sql`UPDATE files SET ID = ${id} WHERE rowid = ${row}`);
  }
  const found = yield* one<{ id: Uint8Array }>(sql`SELECT ID AS "id" FROM files WHERE rowid = ${row}`);
  return { row, id: found?.id ?? new Uint8Array() };
}

const VERSION_COLUMNS = inFileVersions(VERSION_FACTS);
const NEW_VERSION = raw(`${columnList(VERSION_COLUMNS)}, CreatedDate, IsActive, ParentVersionID`);

function* addVersion({ id }: Keeper, { row, transfer, version }: Entry, at: string, file: FileToSave): Steps<void> {
  const category = sql`CASE WHEN coalesce(f.FileCategory, 'document') = 'document' THEN ${file.derivedCategory}
    ELSE f.FileCategory END`;
  const mimeType = sql`coalesce(nullif(f.MimeType, ''), ${file.mimeType})`;
  const told = { ...transfer, pathName: raw('f.PathName'), id, version, mimeType, category };
  yield* run(sql`INSERT INTO file_versions (${NEW_VERSION})
    SELECT ${expressions(inFiles(VERSION_FACTS), 'f', told)}, ${transfer.modificationDate ?? at}, 0,
    (SELECT v.ID FROM file_versions v WHERE v.FileID = ${id} AND v.VersionNumber = ${version - 1})
    FROM files f WHERE f.rowid = ${row.row}`);
}

/** The second row of a split transfer fills gaps of the first. */
const completeVersion = ({ id }: Keeper, { transfer, version }: Entry) =>
  run(sql`UPDATE file_versions SET Verified = 1, FileSize = coalesce(FileSize, ${transfer.fileSize}),
    CRC = coalesce(CRC, ${transfer.crc}), ModificationDate = coalesce(ModificationDate, ${transfer.modificationDate})
    WHERE FileID = ${id} AND VersionNumber = ${version}`);

const plain = (column: string) =>
  `'${column}', CASE typeof(${column}) WHEN 'blob' THEN quote(${column}) ELSE ${column} END`;

const FACTS = raw(`json_object(${['FileSize', 'CRC', 'Verified', 'ModificationDate'].map(plain).join(', ')})`);

/** Whether a row has a value that its version cannot hold. */
const isOdd = (row: StoredRow, { fileSize, crc, verified, modificationDate }: Transfer) =>
  fileSize !== row.fileSize ||
  crc !== row.crc ||
  verified !== (row.verified ?? 0) ||
  (modificationDate === null && row.modificationDate !== null && row.modificationDate !== '');

/** Keeps the id of a removed row, and the values that its version does not hold. */
function* keepTrace(keeper: Keeper, { row, transfer, version }: Entry, isSecond: boolean): Steps<void> {
  const isTold = isOdd(row, transfer) ? 1 : 0;
  yield* run(sql`INSERT INTO adopted_rows (OldID, FileID, VersionNumber, Facts)
    SELECT ID, ${keeper.id}, ${version}, CASE WHEN ${isSecond ? 1 : 0} OR ${isTold} THEN ${FACTS} END
    FROM files WHERE rowid = ${row.row} AND (rowid <> ${keeper.row} OR ${isTold})`);
  if (row.row !== keeper.row) yield* run(sql`DELETE FROM files WHERE rowid = ${row.row}`);
}

const CURRENT = raw(columnList(inFiles(CURRENT_FACTS)));

function* makeCurrent({ row, id }: Keeper, version: number, { mimeType, extension }: FileToSave): Steps<void> {
  const told = { mimeType: sql`coalesce(v.MimeType, ${mimeType})` };
  yield* run(sql`UPDATE files SET (${CURRENT}) = (SELECT ${expressions(inFileVersions(CURRENT_FACTS), 'v', told)}
    FROM file_versions v WHERE v.FileID = ${id} AND v.VersionNumber = ${version}),
    FileExtension = coalesce(nullif(FileExtension, ''), ${extension}), HighestVersion = ${version}
    WHERE rowid = ${row}`);
  yield* run(sql`UPDATE file_versions SET IsActive = CASE WHEN VersionNumber = ${version} THEN 1 ELSE 0 END
    WHERE FileID = ${id}`);
}

/** The time zone of the adoption; else the system's. */
function* zoneOf(): Steps<string> {
  const found = yield* one<{ zone: string | null }>(sql`SELECT json_extract(Report, '$.timeZone') AS "zone"
    FROM catalog_reports WHERE Kind = 'adoption' ORDER BY ID DESC LIMIT 1`);
  const zone = found?.zone ?? '';
  return isTimeZone(zone) ? zone : systemTimeZone();
}

/** Makes versions of a file's rows without one; `at` is the current time. */
export function* takeInRows(file: FileToSave, at: string): Steps<void> {
  const found = yield* rowsOf(file);
  const isVersioned = ({ highest, replaced }: StoredRow) => highest > 0 || replaced !== null;
  const first = found.find(({ highest }) => highest > 0) ?? found.find(isVersioned) ?? found[0];
  // Repair handles versions of several replaced rows.
  const bare = found.filter((row) => row.highest === 0 && (row === first || !isVersioned(row)));
  if (first === undefined || bare.length === 0) return;
  const dates = legacyDatesOf(yield* zoneOf());
  const keeper = yield* keeperOf(first);
  let version = Math.max(first.highest, first.replaced ?? 0);
  const announced: Entry[] = [];
  // The row that stays is written last, because it is read until its version is made.
  for (const row of bare) {
    const entry = { row, transfer: transferOf(row, dates), version: version + 1 };
    const announcing = announced.findLast(({ transfer }) => areOneTransfer(transfer, entry.transfer));
    if (announcing === undefined) {
      version += 1;
      yield* addVersion(keeper, entry, at, file);
      announced.push(entry);
    } else {
      yield* completeVersion(keeper, { ...entry, version: announcing.version });
      announced.splice(announced.indexOf(announcing), 1);
    }
    yield* keepTrace(keeper, { ...entry, version: announcing?.version ?? version }, announcing !== undefined);
  }
  yield* makeCurrent(keeper, version, file);
}
