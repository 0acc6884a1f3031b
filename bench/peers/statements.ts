/** The statements of a save and a lookup as a user of a plain driver writes them, with `?` in the order of `valuesOf`. */
import { FILE_COLUMNS, type PlainSave, type Row } from './peer.ts';

const insert = (table: string, columns: readonly string[]) =>
  `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`;

/** What adding a transfer to its day does, after `INSERT … VALUES`. */
const ADD_TO_DAY = `ON CONFLICT (Date) DO UPDATE SET TotalFiles = TotalFiles + 1,
  TotalBytes = TotalBytes + excluded.TotalBytes, SuccessfulTransfers = SuccessfulTransfers + 1,
  AverageFileSize = (TotalBytes + excluded.TotalBytes) / (SuccessfulTransfers + 1),
  PeakTransferSpeed = max(PeakTransferSpeed, excluded.PeakTransferSpeed)`;

export const QUOTA = 'SELECT QuotaBytes, UsedBytes FROM client_quotas WHERE ClientID = ?';
export const STORED =
  "SELECT * FROM files WHERE ClientID = ? AND FileName = ? AND coalesce(OriginalPath, '') = ? LIMIT 1";
export const LAST_SEEN = 'UPDATE clients SET LastSeen = ? WHERE ID = ?';
export const LOOKUP = `SELECT ${FILE_COLUMNS.join(', ')} FROM files WHERE ID = ?`;

/** The inserts of a save. */
export const insertsOf = ({ file, version, activity, day }: PlainSave): Readonly<Record<InsertName, string>> => ({
  file: insert('files', Object.keys(file)),
  version: insert('file_versions', Object.keys(version)),
  activity: insert('client_activity', Object.keys(activity)),
  day: `${insert('transfer_stats', Object.keys(day))} ${ADD_TO_DAY}`,
});

/** The tables a save inserts into. */
export type InsertName = 'file' | 'version' | 'activity' | 'day';

export const valuesOf = (row: Row) => Object.values(row);
