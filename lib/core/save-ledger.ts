/**
 * The state of one transaction of saves: the room of each client, updated with each save, and the transfers, recorded
 * once per client at the end.
 */
import { NotFoundError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { one, run, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import { dayOf, now } from '../values/dates.ts';
import type { FileToSave } from '../values/file-input.ts';
import { idBytes } from '../values/ids.ts';
import { UNLIMITED_BYTES } from '../values/quota-limit.ts';
import { beingDeleted } from './client-deletion-procedures.ts';
import { FILE, type FileRow } from './file-rows.ts';
import { assertFits, insertMissingQuota, type Room } from './quota-rows.ts';
import { type CountedFile, SaveTotals } from './save-totals.ts';

/** A client's quota after a save. */
export interface QuotaState {
  /** Bytes the client may store; null for no limit. */
  readonly quotaBytes: number | null;
  /** Bytes of every stored version. */
  readonly usedBytes: number;
  /** Whether use has reached the warning threshold. */
  readonly warning: boolean;
}

interface ClientState extends Room {
  readonly warningThreshold: number;
}

interface Transfers {
  readonly files: number;
  readonly bytes: number;
  readonly peakSpeed: number;
}

const NONE: Transfers = { files: 0, bytes: 0, peakSpeed: 0 };

const add = (sum: Transfers, { fileSize, transferSpeed }: FileToSave): Transfers => ({
  files: sum.files + 1,
  bytes: sum.bytes + fileSize,
  peakSpeed: Math.max(sum.peakSpeed, transferSpeed ?? 0),
});

const reachesWarning = ({ quotaBytes, warningThreshold, usedBytes }: ClientState) =>
  quotaBytes < UNLIMITED_BYTES && usedBytes >= quotaBytes * warningThreshold;

const quotaOf = (client: ClientState): QuotaState => ({
  quotaBytes: client.quotaBytes >= UNLIMITED_BYTES ? null : client.quotaBytes,
  usedBytes: client.usedBytes,
  warning: reachesWarning(client),
});

const FLAGS: ReadonlySet<unknown> = new Set([0, 1, null, true, false]);

/**
 * The figures of a row that count; undefined if the row holds values that no save writes, which only the triggers can
 * count.
 */
function countedOf(row: FileRow): CountedFile | undefined {
  const [fileSize, category, extension] = [row[FILE.fileSize], row[FILE.category], row[FILE.extension]];
  const isSize = Number.isSafeInteger(fileSize) && (fileSize as number) >= 0;
  const areTexts = [category, extension].every((value) => value === null || typeof value === 'string');
  if (!isSize || !areTexts || !FLAGS.has(row[FILE.verified])) return undefined;
  return { fileSize: fileSize as number, category, extension, verified: Boolean(row[FILE.verified]) };
}

type FoundState = ClientState & {
  readonly userCategory: string | null;
  readonly hasQuota: number;
  readonly deleting: number;
};

const selectState = (clientId: string, extension: string | null, at: string, dialect: Dialect) =>
  one<FoundState>(sql`SELECT coalesce(q.QuotaBytes, ${UNLIMITED_BYTES}) AS "quotaBytes",
    coalesce(q.UsedBytes, 0) AS "usedBytes", coalesce(q.WarningThreshold, 0.8) AS "warningThreshold",
    (SELECT coalesce(sum(r.Bytes), 0) FROM quota_reservations r
      WHERE r.ClientID = c.ID AND r.ExpiresAt > ${at}) AS "reservedBytes",
    (SELECT k.Name FROM category_extensions e JOIN file_categories k ON k.ID = e.CategoryID
      WHERE e.Extension = ${dialect.unplanned(extension)}) AS "userCategory",
    q.ClientID IS NOT NULL AS "hasQuota", EXISTS (SELECT 1 FROM client_deletions d WHERE d.ClientID = c.ID) AS "deleting"
    FROM clients c LEFT JOIN client_quotas q ON q.ClientID = c.ID WHERE c.ID = ${dialect.unplanned(idBytes(clientId))}`);

/** Lives for one transaction, during which nobody else writes. */
export class SaveLedger {
  /** The time of the transaction. */
  readonly at = now();
  readonly #dialect: Dialect;
  readonly #clients = new Map<string, ClientState>();
  readonly #userCategories = new Map<string | null, string | null>([[null, null]]);
  readonly #transfers = new Map<string, Transfers>();
  readonly #unwarned = new Set<string>();
  #writes = 0;

  readonly #totals: SaveTotals | undefined;

  /** With `counts` it counts the saves itself: for several saves that costs less than the triggers. */
  constructor(dialect: Dialect, { counts = false } = {}) {
    this.#dialect = dialect;
    this.#totals = counts ? new SaveTotals() : undefined;
  }

  /** Decides who counts a version, before it is stored. */
  *willStore(before: FileRow | undefined): Steps<void> {
    if (before === undefined || countedOf(before) !== undefined) yield* this.#totals?.begin() ?? [];
    else yield* this.letTriggersCount();
  }

  /** Counts the stored version, unless the triggers have counted it. */
  counted(row: FileRow, before: FileRow | undefined): void {
    const [now, then] = [countedOf(row), before === undefined ? undefined : countedOf(before)];
    const isByTriggers = now === undefined || (before !== undefined && then === undefined);
    if (!isByTriggers) this.#totals?.saved(row[FILE.clientId], now, then);
  }

  /** Writes the counts so far. The triggers count from here on, until the next version is about to be stored. */
  *letTriggersCount(): Steps<void> {
    yield* this.#totals?.end(this.at) ?? [];
  }

  /** The number of writes on behalf of clients before their files: missing quotas, versions of an old server's rows. */
  get writes(): number {
    return this.#writes;
  }

  /** The custom category of the file's extension, or null. @throws {NotFoundError} for an unknown client */
  *userCategory({ clientId, extension, category }: FileToSave): Steps<string | null> {
    const wanted = category === null ? extension : null;
    const known = this.#userCategories.get(wanted);
    if (known !== undefined && this.#clients.has(clientId)) return known;
    const { userCategory, ...client } = yield* this.#readState(clientId, wanted);
    this.#userCategories.set(wanted, userCategory);
    if (!this.#clients.has(clientId)) this.#clients.set(clientId, client);
    return userCategory;
  }

  *#readState(clientId: string, extension: string | null): Steps<ClientState & { userCategory: string | null }> {
    const found = yield* selectState(clientId, extension, this.at, this.#dialect);
    if (found === undefined) throw new NotFoundError(`client ${clientId}`);
    const { hasQuota, deleting, ...state } = found;
    if (deleting) throw beingDeleted(clientId);
    if (hasQuota) return state;
    this.#writes += 1;
    yield* insertMissingQuota(clientId, this.at, this.#dialect);
    return yield* this.#readState(clientId, extension);
  }

  /** Reads a client's use again after somebody else changed it. */
  *readAgain(file: FileToSave): Steps<void> {
    this.#writes += 1;
    const before = this.#state(file.clientId);
    this.#clients.delete(file.clientId);
    yield* this.userCategory(file);
    // The next save reports crossing the threshold, even if the use has reached it already.
    if (!reachesWarning(before)) this.#unwarned.add(file.clientId);
  }

  /** Forgets the state of clients and categories, so that the next save reads what somebody else may have changed. */
  forget(): void {
    this.#clients.clear();
    this.#userCategories.clear();
  }

  /** The client's present quota; call {@link userCategory} first. */
  quota(clientId: string): QuotaState {
    return quotaOf(this.#state(clientId));
  }

  /** @throws {QuotaExceededError} */
  assertFits({ clientId, fileSize }: FileToSave): void {
    const client = this.#state(clientId);
    if (client.quotaBytes < UNLIMITED_BYTES) assertFits(client, fileSize);
  }

  /** Counts a stored file; returns whether it reached the warning threshold. */
  stored(file: FileToSave): boolean {
    const before = this.#state(file.clientId);
    const after = { ...before, usedBytes: before.usedBytes + file.fileSize };
    this.#clients.set(file.clientId, after);
    this.#transfers.set(file.clientId, add(this.#transfers.get(file.clientId) ?? NONE, file));
    const isNew = this.#unwarned.delete(file.clientId);
    return reachesWarning(after) && (isNew || !reachesWarning(before));
  }

  #state(clientId: string): ClientState {
    const client = this.#clients.get(clientId);
    if (client === undefined) throw new NotFoundError(`client ${clientId}`);
    return client;
  }

  /** Records the transfers: when each client was last seen, its activity, and the day's statistics. */
  *record(): Steps<void> {
    yield* this.letTriggersCount();
    for (const [clientId, { files, bytes }] of this.#transfers) {
      yield* run(sql`UPDATE clients SET LastSeen = ${this.at} WHERE ID = ${idBytes(clientId)}`);
      yield* run(sql`INSERT INTO client_activity (ClientID, ActivityType, Timestamp, FileCount, BytesTransferred)
        VALUES (${idBytes(clientId)}, 'upload', ${this.at}, ${files}, ${bytes})`);
    }
    const all = [...this.#transfers.values()];
    if (all.length === 0) return;
    const files = all.reduce((sum, one) => sum + one.files, 0);
    const bytes = all.reduce((sum, one) => sum + one.bytes, 0);
    const peakSpeed = Math.max(...all.map((one) => one.peakSpeed));
    yield* run(sql`INSERT INTO transfer_stats AS s (Date, TotalFiles, TotalBytes, SuccessfulTransfers, FailedTransfers,
      AverageFileSize, PeakTransferSpeed)
      VALUES (${dayOf(this.at)}, ${files}, ${bytes}, ${files}, 0, ${Math.floor(bytes / files)}, ${peakSpeed})
      ON CONFLICT (Date) DO UPDATE SET TotalFiles = s.TotalFiles + excluded.TotalFiles,
      TotalBytes = s.TotalBytes + excluded.TotalBytes,
      SuccessfulTransfers = s.SuccessfulTransfers + excluded.SuccessfulTransfers,
      AverageFileSize = (s.TotalBytes + excluded.TotalBytes) / (s.SuccessfulTransfers + excluded.SuccessfulTransfers),
      PeakTransferSpeed = CASE WHEN excluded.PeakTransferSpeed > s.PeakTransferSpeed
        THEN excluded.PeakTransferSpeed ELSE s.PeakTransferSpeed END`);
  }
}
