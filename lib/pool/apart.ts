/**
 * Runs reading procedures in processes of their own, each with a deadline at which it is ended, whatever SQLite does. A
 * process costs a tenth of a second, so it is for statements that nobody knows.
 */

import { DatabaseError, reviveError } from '../errors.ts';
import { callProcess } from '../runtime/process-call.ts';
import { scriptUrl } from '../runtime/scripts.ts';
import { type CallOptions, closedError } from '../sql/engine.ts';
import type { Procedure } from '../sql/procedure.ts';
import type { Call, ConnectionSettings, Outcome } from './protocol.ts';

/** What the process is told. */
export interface ApartOrder {
  readonly settings: ConnectionSettings;
  readonly call: Call;
}

/** How long such a call may take. */
export interface ApartOptions extends CallOptions {
  /** Milliseconds from the call to its answer, the start of the process included. */
  readonly deadlineMs: number;
}

const SCRIPT = scriptUrl('pool/reader-process');
const MOST = 4; // processes at once; each reads the file with a cache of its own

const late = (deadlineMs: number) =>
  new DatabaseError('CATALOG_TIMEOUT', `the statement did not end within ${deadlineMs} ms; its process was ended`, {
    hint: 'Ask for less, or give it a longer deadlineMs.',
  });

/** The processes of one catalogue. */
export class ApartReaders {
  readonly #settings: ConnectionSettings;
  readonly #waiting = new Set<() => void>();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();
  #free = MOST;

  /** `settings` are those of a reader. */
  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
  }

  /**
   * Runs a reading procedure.
   * @throws {DatabaseError} CATALOG_TIMEOUT past the deadline, CATALOG_CLOSED, CATALOG_IO when no process can be started;
   *   what the procedure throws; the reason of the signal
   */
  run<Input, Output>(wanted: Procedure<Input, Output>, input: Input, options: ApartOptions): Promise<Output> {
    const answer = this.#run([wanted.name, input], options).then((wire) => wanted.decode(wire));
    const settled = answer.catch(() => undefined).finally(() => this.#underWay.delete(settled));
    this.#underWay.add(settled);
    return answer;
  }

  async #run(call: Call, { deadlineMs, signal }: ApartOptions): Promise<unknown> {
    const start = performance.now();
    const stop = AbortSignal.any([this.#closing.signal, ...(signal === undefined ? [] : [signal])]);
    stop.throwIfAborted();
    await this.#turn(deadlineMs, stop);
    try {
      const left = Math.max(1, deadlineMs - (performance.now() - start));
      const order: ApartOrder = { settings: this.#settings, call };
      const rules = { deadlineMs: left, signal: stop, late: () => late(deadlineMs) };
      const outcome = (await callProcess(SCRIPT, order, rules)) as Outcome;
      if (!outcome.ok) throw reviveError(outcome.error);
      return outcome.value;
    } finally {
      this.#giveBack();
    }
  }

  /** Takes one of the places, or waits for one that is given back. */
  async #turn(deadlineMs: number, stop: AbortSignal): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Whoever gives up leaves at once: a place that is handed to it would be lost.
    const leave = (reason: unknown) => {
      this.#waiting.delete(resolve);
      reject(reason);
    };
    const timer = setTimeout(() => leave(late(deadlineMs)), deadlineMs);
    const giveUp = () => leave(stop.reason);
    stop.addEventListener('abort', giveUp, { once: true });
    this.#waiting.add(resolve);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      stop.removeEventListener('abort', giveUp);
    }
  }

  #giveBack(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }

  /** Waits for what was accepted, at most so many milliseconds, and ends what is left. */
  async close(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.#closing.abort(closedError()), timeoutMs);
    await Promise.all(this.#underWay);
    clearTimeout(timer);
    this.#closing.abort(closedError());
  }
}
