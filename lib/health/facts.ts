/**
 * What is the case with a catalogue: everything health looks at, asked at once, each question apart, and none waited for
 * longer than the deadline. Nothing here throws, and nothing judges.
 */

import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isBeyondMemory } from '../core/search-index-table.ts';
import type { DatabaseError } from '../errors.ts';
import { type MaintenanceState, maintenanceState } from '../maintenance/history.ts';
import { freeBytesOf } from '../runtime/disk-space.ts';
import { hasCode } from '../runtime/thrown.ts';
import type { CallOptions, Engine, EngineStats } from '../sql/engine.ts';
import { DAY_MS } from '../values/intervals.ts';
import {
  probeWriter,
  type SchemaFigures,
  type SearchFigures,
  type SizeFigures,
  schemaFigures,
  searchFigures,
  sizesBefore,
  type TransferFigures,
  transfersSince,
  warnedClients,
} from './health-procedures.ts';

/** What one question brought: an answer, why there is none, or that the deadline came first. */
export type Known<Value> =
  | { readonly value: Value }
  | { readonly error: unknown }
  /** At the deadline: `waiting`, its turn had not come; `running`, it had begun. `given up`: the caller's signal fired. */
  | { readonly unanswered: 'waiting' | 'running' | 'given up' };

/** The files of a database, as the file system knows them. */
export interface FileFigures {
  /** Device and inode; null when there is no file of that name. */
  readonly identity: string | null;
  readonly databaseBytes: number;
  readonly walBytes: number;
  /** Names of those that others than the owner may read or write, with their mode. */
  readonly open: string[];
}

/** Where the schema stands. */
interface SchemaStanding {
  /** Migrations of this release that are not applied. */
  readonly pending: number;
  /** What is wrong with that; undefined where nothing is. */
  readonly problem: DatabaseError | undefined;
  /** Whether the tables are there without which nothing of the catalogue can be read. */
  readonly isReadable: boolean;
}

/** Everything health judges. */
export interface Facts {
  /** When it was asked, in milliseconds since the epoch. */
  readonly at: number;
  readonly stats: EngineStats;
  readonly schema: Known<SchemaFigures>;
  readonly writer: Known<null>;
  readonly history: Known<MaintenanceState | null>;
  readonly standing: Known<SchemaStanding>;
  readonly quotas: Known<number | null>;
  readonly transfers: Known<TransferFigures | null>;
  readonly sizes: Known<SizeFigures | null>;
  readonly search: Known<SearchFigures | null>;
  readonly files: Known<FileFigures>;
  readonly freeBytes: Known<number>;
}

/** What facts are gathered of. */
export interface FactSource {
  readonly engine: Engine;
  readonly database: string;
  readonly readOnly: boolean;
  /** Asks where the schema stands. */
  readonly standing: (options: CallOptions) => Promise<SchemaStanding>;
}

/** The UTC day of an instant. */
export const dayAt = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** Asks questions until a deadline. */
class Asking {
  readonly #controller = new AbortController();
  readonly #over: Promise<'over'>;
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal | undefined;
  readonly #giveUp: () => void;
  #isGivenUp = false;

  constructor(deadlineMs: number, signal: AbortSignal | undefined) {
    const end = () => this.#controller.abort(this);
    const giveUp = () => {
      this.#isGivenUp = true;
      end();
    };
    this.#timer = setTimeout(end, deadlineMs);
    this.#signal = signal;
    this.#giveUp = giveUp;
    signal?.addEventListener('abort', giveUp, { once: true });
    this.#over = new Promise((resolve) => {
      // A turn later: a call whose turn has not come leaves its queue first, which tells it from one that has begun.
      this.#controller.signal.addEventListener('abort', () => setImmediate(resolve, 'over'), { once: true });
    });
    if (signal?.aborted) giveUp();
  }

  async ask<Value>(question: (options: CallOptions) => Promise<Value>): Promise<Known<Value>> {
    const { signal } = this.#controller;
    const answered = (async () => question({ signal }))().then(
      (value) => ({ value }),
      (error: unknown) => (error === signal.reason ? this.#unanswered('waiting') : { error }),
    );
    const first = await Promise.race([answered, this.#over]);
    return first === 'over' ? this.#unanswered('running') : first;
  }

  #unanswered(how: 'waiting' | 'running') {
    return { unanswered: this.#isGivenUp ? ('given up' as const) : how };
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#giveUp);
  }
}

/** Asks one question until a deadline. Never throws. */
export async function askWithin<Value>(
  deadlineMs: number,
  question: (options: CallOptions) => Promise<Value>,
): Promise<Known<Value>> {
  const asking = new Asking(deadlineMs, undefined);
  const known = await asking.ask(question);
  asking.stop();
  return known;
}

const statOrNull = (path: string) =>
  stat(path).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  });

const OTHERS = 0o077; // what is wider than 0600

/** Looks at the files of a database; stat opens none of them, so it leaves the locks alone. @throws of the file system */
export async function filesOf(database: string): Promise<FileFigures> {
  const paths = ['', '-wal', '-shm'].map((suffix) => `${database}${suffix}`);
  const found = await Promise.all(paths.map(statOrNull));
  const [main, wal] = found;
  const open = found.flatMap((stats, place) => {
    const isOpen = stats != null && process.platform !== 'win32' && (stats.mode & OTHERS) !== 0;
    return isOpen ? [`${paths[place]} (${(stats.mode & 0o777).toString(8)})`] : [];
  });
  return {
    identity: main ? `${main.dev}:${main.ino}` : null,
    databaseBytes: main?.size ?? 0,
    walBytes: wal?.size ?? 0,
    open,
  };
}

/** The state of the search index. Some damage of it fails a call as a whole, so it is asked again without a look inside. */
async function askIndex(engine: Engine, most: number, options: CallOptions): Promise<SearchFigures | null> {
  try {
    return await engine.run(searchFigures, { most, met: null }, options);
  } catch (error) {
    if (!isBeyondMemory(error)) throw error;
    return engine.run(searchFigures, { most, met: error.message }, options);
  }
}

/** Everything at once; answers at the deadline, or when the signal fires, with what is known by then. */
export async function gatherFacts(
  { engine, database, readOnly, standing: askStanding }: FactSource,
  { deadlineMs, searchBacklog }: { readonly deadlineMs: number; readonly searchBacklog: number },
  signal?: AbortSignal,
): Promise<Facts> {
  const at = Date.now();
  const stats = engine.stats();
  const asking = new Asking(deadlineMs, signal);
  const [schema, writer, history, standing, quotas, transfers, sizes, search, files, freeBytes] = await Promise.all([
    asking.ask((options) => engine.run(schemaFigures, null, options)),
    asking.ask(async (options) => (readOnly ? null : engine.run(probeWriter, null, options))),
    asking.ask((options) => engine.run(maintenanceState, null, options)),
    asking.ask(askStanding),
    asking.ask((options) => engine.run(warnedClients, null, options)),
    asking.ask((options) => engine.run(transfersSince, dayAt(at - DAY_MS), options)),
    asking.ask((options) => engine.run(sizesBefore, dayAt(at), options)),
    asking.ask((options) => askIndex(engine, searchBacklog + 1, options)),
    asking.ask(() => filesOf(database)),
    asking.ask(() => freeBytesOf(dirname(database))),
  ]);
  asking.stop();
  return { at, stats, schema, writer, history, standing, quotas, transfers, sizes, search, files, freeBytes };
}
