/** `db.quotas`: how much each client may store. */

import type { Quota } from '../core/quota-rows.ts';
import type { Stored } from '../core/save-file.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';
import { checkBoolean, checkNumber, checkObject, checkSignal, optional, refuse } from '../validation.ts';
import { checkId, type IdInput } from '../values/ids.ts';
import { checkPage, cutPage, everyItem, type PageOptions } from '../values/pages.ts';
import { UNLIMITED_BYTES } from '../values/quota-limit.ts';
import { auditUse, type QuotaAudit } from './audit.ts';
import { getQuota, listQuotas, setQuota } from './quota-procedures.ts';
import { type Reservations, reservationsOf } from './reservations.ts';

/** A new limit for a client. */
export interface QuotaInput {
  /** Bytes, 0 to 2^53-2; null for no limit. May be below the use: then nothing more fits. */
  readonly quotaBytes: number | null;
  /** 0 to 1; omit it to keep the present value. */
  readonly warningThreshold?: number | null | undefined;
}

/** A page of quotas, by client id. */
export interface QuotaPage {
  readonly quotas: Quota[];
  readonly nextCursor: string | null;
}

/** Options of an audit. */
export interface QuotaAuditOptions extends CallOptions {
  /** Repair the drift. Default false. */
  readonly repair?: boolean | undefined;
}

/** `db.quotas`: limits of clients, and reservations for uploads. */
export interface Quotas extends Reservations {
  /** A client's quota and use; null if the client does not exist. */
  get(clientId: IdInput, options?: CallOptions): Promise<Quota | null>;

  /**
   * Sets what a client may store.
   * @throws {NotFoundError} when the client does not exist
   */
  set(clientId: IdInput, quota: QuotaInput, options?: CallOptions): Promise<Quota>;

  /** A page of quotas, ordered by client id. */
  list(page?: PageOptions): Promise<QuotaPage>;

  /** Every quota; fetches a page at a time. */
  listAll(options?: CallOptions): AsyncGenerator<Quota, void, undefined>;

  /**
   * Recounts every client's use from its versions. Saves keep the use exact; only raw SQL with triggers off, or an old
   * server that does not enforce foreign keys, can make it drift. Changes nothing without `repair`.
   */
  audit(options?: QuotaAuditOptions): Promise<QuotaAudit>;
}

const LIST = 'quotas.list';
const AUDIT_KEYS = new Set(['repair', 'signal']);
const QUOTA_KEYS = new Set(['quotaBytes', 'warningThreshold']);

function checkQuotaBytes(value: unknown): number {
  if (value === null) return UNLIMITED_BYTES;
  const isGood = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < UNLIMITED_BYTES;
  return isGood ? value + 0 : refuse('quotaBytes', value, 'whole bytes, 0 to 2^53-2, or null for no limit'); // -0 is 0
}

/**
 * Builds `db.quotas`; `onSaved` is called after each commit of a reservation.
 * @internal
 */
export function quotasOf(executor: Executor, onSaved: (stored: Stored) => void): Quotas {
  const list: Quotas['list'] = async (page = {}) => {
    const request = checkPage(page, LIST, 1);
    const found = await executor.run(listQuotas, request, { signal: page.signal });
    const { rows, nextCursor } = cutPage(found, request.limit, LIST, ({ clientId }) => [clientId]);
    return { quotas: rows, nextCursor };
  };

  const listAll: Quotas['listAll'] = (options) =>
    everyItem(async (page) => {
      const { quotas: items, nextCursor } = await list(page);
      return { items, nextCursor };
    }, options);

  async function* clientIds(signal: AbortSignal | undefined) {
    for await (const { clientId } of listAll({ signal })) yield clientId;
  }

  return {
    ...reservationsOf(executor, onSaved),
    get: async (clientId, options) => executor.run(getQuota, checkId(clientId, 'clientId'), options),

    async set(clientId, quota, options) {
      const given = checkObject(quota, 'quota', QUOTA_KEYS);
      const input = {
        clientId: checkId(clientId, 'clientId'),
        quotaBytes: checkQuotaBytes(given['quotaBytes']),
        warningThreshold: optional(given['warningThreshold'], (value) => checkNumber(value, 'warningThreshold', 0, 1)),
      };
      return executor.run(setQuota, input, options);
    },

    list,
    listAll,

    async audit(options = {}) {
      const given = checkObject(options, 'options', AUDIT_KEYS);
      const signal = checkSignal(given['signal']);
      const repair = optional(given['repair'], (value) => checkBoolean(value, 'repair')) ?? false;
      return auditUse(executor, { clientIds: clientIds(signal), repair, signal });
    },
  };
}
