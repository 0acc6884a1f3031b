/**
 * Reservations hold room in a client's quota during an upload, so that concurrent uploads, even of several processes,
 * never count on the same bytes.
 */

import type { SaveResult, Stored } from '../core/save-file.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';
import { checkInteger, checkObject, checkSignal, optional, refuse } from '../validation.ts';
import { checkFile, checkSize, type FileInput, type SaveOptions } from '../values/file-input.ts';
import { checkId, type IdInput } from '../values/ids.ts';
import { HOUR_MS } from '../values/intervals.ts';
import {
  commitReservation,
  getReservation,
  releaseReservation,
  reserveRoom,
  type StoredReservation,
} from './reservation-procedures.ts';

/** Options of a reservation. */
export interface ReserveOptions extends CallOptions {
  /** Milliseconds until the reservation expires, at most 31 days. Default one hour. */
  readonly ttlMs?: number | null | undefined;
}

/** Reserved room. `await using` releases it at the end of the block, which does nothing after `commit`. */
export interface Reservation extends AsyncDisposable {
  readonly id: string;
  /** Reserved bytes. */
  readonly bytes: number;
  /** When the reservation expires. */
  readonly expiresAt: string;
  /**
   * Saves the file and releases the room in one transaction. If the file is larger than the reservation, the rest must
   * be free; after expiry, commit or release it is an ordinary save.
   * @throws what `files.save` throws; then nothing is changed and the room stays reserved; {ValidationError} for a file
   *   of another client
   */
  commit(file: FileInput, options?: SaveOptions & CallOptions): Promise<SaveResult>;
  /** Releases the room. Does nothing after expiry, commit or release. */
  release(options?: CallOptions): Promise<void>;
}

/** The part of `db.quotas` that reserves. */
export interface Reservations {
  /**
   * Reserves room for an upload until it is committed, released or expires. Every process that has the catalogue open
   * counts it. A reservation object made inside a transaction works until the transaction ends; `reservation(id)` finds
   * it again afterwards.
   * @param bytes 0 to 2^53-1
   * @throws {NotFoundError} when the client does not exist
   * @throws {QuotaExceededError} if that much is not free
   * @example
   * ```ts
   * await using room = await db.quotas.reserve(clientId, 48_213, { ttlMs: 600_000 });
   * // The upload goes here; if it throws, the end of the block releases the room.
   * const { version } = await room.commit({
   *   clientId,
   *   fileName: 'report.pdf',
   *   pathName: '/srv/contents/7f3a',
   *   fileSize: 48_213,
   * });
   * console.log(`stored as version ${version}`);
   * ```
   */
  reserve(clientId: IdInput, bytes: number, options?: ReserveOptions): Promise<Reservation>;

  /** The reservation with this id, whichever process made it; null after it expired, was committed or released. */
  reservation(id: IdInput, options?: CallOptions): Promise<Reservation | null>;
}

const MAX_TTL_MS = 31 * 24 * HOUR_MS; // a forgotten one that lasts longer would in effect lower the quota
const RESERVE_KEYS = new Set(['ttlMs', 'signal']);

/**
 * Builds the part of `db.quotas` that reserves; `onSaved` is called after each commit.
 * @internal
 */
export function reservationsOf(executor: Executor, onSaved: (stored: Stored) => void): Reservations {
  const toReservation = ({ id, clientId, bytes, expiresAt }: StoredReservation): Reservation => {
    const release = async (options?: CallOptions) => executor.run(releaseReservation, id, options);
    return {
      id,
      bytes,
      expiresAt,
      async commit(given, options = {}) {
        const file = checkFile(given, options);
        if (file.clientId !== clientId) refuse('clientId', file.clientId, `${clientId}, whose reservation this is`);
        const outcome = await executor.run(commitReservation, { id, file }, { signal: checkSignal(options.signal) });
        onSaved(outcome);
        return outcome.result;
      },
      release,
      [Symbol.asyncDispose]: () => release(),
    };
  };

  return {
    async reserve(clientId, bytes, options = {}) {
      const { ttlMs, signal } = checkObject(options, 'options', RESERVE_KEYS);
      const input = {
        clientId: checkId(clientId, 'clientId'),
        bytes: checkSize(bytes, 'bytes'),
        ttlMs: optional(ttlMs, (value) => checkInteger(value, 'ttlMs', 1, MAX_TTL_MS)) ?? HOUR_MS,
      };
      return toReservation(await executor.run(reserveRoom, input, { signal: checkSignal(signal) }));
    },

    async reservation(id, options) {
      const found = await executor.run(getReservation, checkId(id, 'id'), options);
      return found === null ? null : toReservation(found);
    },
  };
}
