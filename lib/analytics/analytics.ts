/** `db.analytics`: what the catalogue holds, what happened when, and when it will be full. Days are UTC. */

import { NotFoundError } from '../errors.ts';
import type { CallLogFigures } from '../sql/call-log.ts';
import type { CallOptions, EngineStats, Executor } from '../sql/engine.ts';
import { checkBoolean, checkInteger, checkObject, checkSignal, optional, refuse } from '../validation.ts';
import { checkDate, type DateInput, dayOf, now } from '../values/dates.ts';
import { checkId, type IdInput } from '../values/ids.ts';
import { checkPage, cutPage, everyItem, type PageOptions } from '../values/pages.ts';
import { auditTotals, repairTotals, type TotalsAudit } from './audit-procedures.ts';
import { type ClientTotals, getClientTotals, listClientTotals } from './client-totals.ts';
import { addDays, eachDay, type Forecast, forecastDisk, forecastQuota, type GrowthDay, growthDays } from './growth.ts';
import {
  type Activity,
  dailySizes,
  dailyTotals,
  listActivity,
  type TransferDay,
  transferDays,
} from './series-procedures.ts';
import { assemble, measureSizes, type Places, type StorageStatistics } from './storage.ts';
import { recordSizes, storageFigures } from './storage-procedures.ts';

/**
 * The settings of statistics.
 * @internal
 */
export interface Surroundings extends Places {
  readonly stats: () => EngineStats;
  readonly callLog: () => CallLogFigures;
}

/** Options of `storage`. */
export interface StorageOptions extends CallOptions {
  /** Measure the folder of contents now, which may take long. Default false: report its last measurement. */
  readonly measure?: boolean | undefined;
}

/** A range of UTC days, both ends included. */
export interface PeriodOptions extends CallOptions {
  /** Default: 29 days before `to`. */
  readonly from?: DateInput | null | undefined;
  /** Default: today. */
  readonly to?: DateInput | null | undefined;
}

/** Filters of activity. */
export interface ActivityFilter extends PageOptions {
  readonly clientId?: IdInput | null | undefined;
  readonly from?: DateInput | null | undefined;
  /** A date without a time means the whole day. */
  readonly to?: DateInput | null | undefined;
}

/** A page of activity, newest first. */
export interface ActivityPage {
  readonly activity: Activity[];
  readonly nextCursor: string | null;
}

/** A page of clients with their totals, by name. */
export interface ClientTotalsPage {
  readonly clients: ClientTotals[];
  readonly nextCursor: string | null;
}

/** Options of growth. */
export interface GrowthOptions extends CallOptions {
  /** 1 to 3,660 days up to today. Default 30. */
  readonly days?: number | undefined;
  /** Default: all clients together. */
  readonly clientId?: IdInput | null | undefined;
}

/** Options of an audit. */
export interface TotalsAuditOptions extends CallOptions {
  /** Repair differing totals. Default false. */
  readonly repair?: boolean | undefined;
}

/** `db.analytics`: what the catalogue holds, what happened when, and when it will be full. Days are UTC. */
export interface Analytics {
  /** Sizes, totals and figures of the whole catalogue; its time does not depend on the number of files. */
  storage(options?: StorageOptions): Promise<StorageStatistics>;

  /** A page of clients with their totals, ordered by name. */
  clients(page?: PageOptions): Promise<ClientTotalsPage>;

  /** Every client with its totals; fetches a page at a time. */
  clientsAll(options?: CallOptions): AsyncGenerator<ClientTotals, void, undefined>;

  /** The transfers of each UTC day of a period. Days without transfers are included, with zeros. */
  transfers(options?: PeriodOptions): Promise<TransferDay[]>;

  /** A page of client activity, newest first. */
  activity(filter?: ActivityFilter): Promise<ActivityPage>;

  /** All client activity, newest first; fetches a page at a time. */
  activityAll(filter?: ActivityFilter, options?: CallOptions): AsyncGenerator<Activity, void, undefined>;

  /** The stored totals at the end of each of the last days, up to today, without gaps. */
  growth(options?: GrowthOptions): Promise<GrowthDay[]>;

  /**
   * Predicts when a client's quota or, without a client, the database's disk will be full. Fits a straight line (least
   * squares) to the known days of the last thirty.
   * @throws {NotFoundError} when the client does not exist
   */
  forecast(clientId?: IdInput | null, options?: CallOptions): Promise<Forecast>;

  /** Recounts every running total from the files, reading each once. Changes nothing without `repair`. */
  audit(options?: TotalsAuditOptions): Promise<TotalsAudit>;
}

const ACTIVE_DAYS = 30;
const DEFAULT_DAYS = 30;
const MAX_DAYS = 3_660;
const ACTIVITY = 'analytics.activity';
const CLIENTS = 'analytics.clients';
const DAY_ONLY = /^\d{4}-\d{2}-\d{2}$/;

const checkDay = (value: unknown, field: string) => dayOf(checkDate(value, field));

function checkPeriod(options: PeriodOptions) {
  const given = checkObject(options, 'options', new Set(['from', 'to', 'signal']));
  const to = optional(given['to'], (value) => checkDay(value, 'to')) ?? dayOf(now());
  const from = optional(given['from'], (value) => checkDay(value, 'from')) ?? addDays(to, 1 - DEFAULT_DAYS);
  const days = eachDay(from, to).length;
  if (days < 1 || days > MAX_DAYS)
    refuse('from', from, `a day at most ${MAX_DAYS} days before ${to}, and not after it`);
  return { from, to };
}

function checkActivity({ clientId, from, to, ...page }: ActivityFilter) {
  const end = optional(to, (value) => checkDate(value, 'to'));
  const isWholeDay = typeof to === 'string' && DAY_ONLY.test(to);
  return {
    ...checkPage(page, ACTIVITY, 1),
    clientId: optional(clientId, (value) => checkId(value, 'clientId')),
    from: optional(from, (value) => checkDate(value, 'from')),
    to: end !== null && isWholeDay ? `${dayOf(end)}T23:59:59.999Z` : end,
  };
}

const NO_TRANSFERS = {
  totalFiles: 0,
  totalBytes: 0,
  successfulTransfers: 0,
  failedTransfers: 0,
  averageFileSize: 0,
  peakTransferSpeed: 0,
};

/**
 * Builds `db.analytics`.
 * @internal
 */
export function analyticsOf(executor: Executor, { stats, callLog, ...places }: Surroundings): Analytics {
  const listClients: Analytics['clients'] = async (page = {}) => {
    const request = checkPage(page, CLIENTS, 1);
    const found = await executor.run(listClientTotals, request, { signal: page.signal });
    const { rows, nextCursor } = cutPage(found, request.limit, CLIENTS, ({ name }) => [name]);
    return { clients: rows, nextCursor };
  };

  const activity: Analytics['activity'] = async (filter = {}) => {
    checkObject(filter, 'filter', new Set(['clientId', 'from', 'to', 'limit', 'cursor', 'signal']));
    const request = checkActivity(filter);
    const found = await executor.run(listActivity, request, { signal: filter.signal });
    const { rows, nextCursor } = cutPage(found, request.limit, ACTIVITY, ({ id }) => [id]);
    return { activity: rows, nextCursor };
  };

  /** The days up to today of a client or, for null, of all. */
  const daysOf = async (clientId: string | null, count: number, options: CallOptions): Promise<GrowthDay[]> => {
    const to = dayOf(now());
    const range = { from: addDays(to, 1 - count), to };
    const [changes, sizes] = await Promise.all([
      executor.run(dailyTotals, { ...range, clientId }, options),
      executor.run(dailySizes, range, options),
    ]);
    return growthDays(eachDay(range.from, to), changes, sizes);
  };

  return {
    async storage(options = {}) {
      const given = checkObject(options, 'options', new Set(['measure', 'signal']));
      const signal = checkSignal(given['signal']);
      const wanted = optional(given['measure'], (value) => checkBoolean(value, 'measure')) ?? false;
      if (wanted) await executor.run(recordSizes, await measureSizes(places, signal), { signal });
      const activeSince = `${addDays(dayOf(now()), -ACTIVE_DAYS)}T00:00:00.000Z`;
      const figures = await executor.run(storageFigures, activeSince, { signal });
      return assemble(figures, { stats: stats(), calls: callLog().calls }, places);
    },

    clients: listClients,

    clientsAll: (options) =>
      everyItem(async (page) => {
        const { clients: items, nextCursor } = await listClients(page);
        return { items, nextCursor };
      }, options),

    async transfers(options = {}) {
      const period = checkPeriod(options);
      const found = await executor.run(transferDays, period, { signal: checkSignal(options.signal) });
      const byDate = new Map(found.map((day) => [day.date, day]));
      return eachDay(period.from, period.to).map((date) => byDate.get(date) ?? { date, ...NO_TRANSFERS });
    },

    activity,

    activityAll: (filter = {}, options) =>
      everyItem(async (page) => {
        const { activity: items, nextCursor } = await activity({ ...filter, ...page });
        return { items, nextCursor };
      }, options),

    async growth(options = {}) {
      const given = checkObject(options, 'options', new Set(['days', 'clientId', 'signal']));
      const days = optional(given['days'], (value) => checkInteger(value, 'days', 1, MAX_DAYS)) ?? DEFAULT_DAYS;
      const clientId = optional(given['clientId'], (value) => checkId(value, 'clientId'));
      return daysOf(clientId, days, { signal: checkSignal(given['signal']) });
    },

    async forecast(clientId, options = {}) {
      const id = optional(clientId, (value) => checkId(value, 'clientId'));
      const today = dayOf(now());
      if (id === null) {
        const range = { from: addDays(today, 1 - DEFAULT_DAYS), to: today };
        return forecastDisk(await executor.run(dailySizes, range, options), today);
      }
      const client = await executor.run(getClientTotals, id, options);
      if (client === null) throw new NotFoundError(`client ${id}`);
      const days = await daysOf(id, DEFAULT_DAYS, options);
      const first = days.findIndex(({ usedBytes, files }) => usedBytes > 0 || files > 0);
      return forecastQuota(client, first === -1 ? [] : days.slice(first), today);
    },

    async audit(options = {}) {
      const given = checkObject(options, 'options', new Set(['repair', 'signal']));
      const repair = optional(given['repair'], (value) => checkBoolean(value, 'repair')) ?? false;
      return executor.run(repair ? repairTotals : auditTotals, null, { signal: checkSignal(given['signal']) });
    },
  };
}
