/**
 * Runs reading procedures in separate processes, each killed at its deadline, whatever SQLite is doing. Starting a
 * process costs a tenth of a second, so this is for statements whose cost nobody knows.
 */

import { DatabaseError, reviveError } from '../errors.ts';
import { callProcess } from '../runtime/process-call.ts';
import { scriptUrl } from '../runtime/scripts.ts';
import { type CallOptions, closedError } from '../sql/engine.ts';
import type { Procedure } from '../sql/procedure.ts';
import type { Call, ConnectionSettings, Outcome } from './protocol.ts';

/** What the process receives. */
export interface ProcessOrder {
  readonly settings: ConnectionSettings;
  readonly call: Call;
}

/** The limits of such a call. */
export interface ProcessCallOptions extends CallOptions {
  /** Milliseconds from the call to its answer, including the start of the process. */
  readonly deadlineMs: number;
}

const SCRIPT = scriptUrl('pool/reader-process');
const MOST = 4; // processes at once; each reads the file with a cache of its own

const late = (deadlineMs: number) =>
  new DatabaseError('CATALOG_TIMEOUT', `the statement did not finish within ${deadlineMs} ms; its process was killed`, {
    hint: 'Ask for less, or raise deadlineMs.',
  });

/** The processes of one catalogue. */
export class ProcessPool {
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
   * @throws {DatabaseError} CATALOG_TIMEOUT past the deadline, CATALOG_CLOSED, CATALOG_IO when no process can start;
   *   whatever the procedure throws; the reason of the signal
   */
  run<Input, Output>(wanted: Procedure<Input, Output>, input: Input, options: ProcessCallOptions): Promise<Output> {
    const answer = this.#run([wanted.name, input], options).then((wire) => wanted.decode(wire));
    const settled = answer.catch(() => undefined).finally(() => this.#underWay.delete(settled));
    this.#underWay.add(settled);
    return answer;
  }

  async #run(call: Call, { deadlineMs, signal }: ProcessCallOptions): Promise<unknown> {
    const start = performance.now();
    const stop = AbortSignal.any([this.#closing.signal, ...(signal === undefined ? [] : [signal])]);
    stop.throwIfAborted();
    await this.#turn(deadlineMs, stop);
    try {
      const left = Math.max(1, deadlineMs - (performance.now() - start));
      const order: ProcessOrder = { settings: this.#settings, call };
      const rules = { deadlineMs: left, signal: stop, late: () => late(deadlineMs) };
      const outcome = (await callProcess(SCRIPT, order, rules)) as Outcome;
      if (!outcome.ok) throw reviveError(outcome.error);
      return outcome.value;
    } finally {
      this.#giveBack();
    }
  }

  /** Takes a slot, or waits for one. */
  async #turn(deadlineMs: number, stop: AbortSignal): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // A caller that gives up leaves the queue at once: a slot passed to it would be lost.
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

  /** Waits for the accepted calls, at most `timeoutMs`, and kills the rest. */
  async close(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.#closing.abort(closedError()), timeoutMs);
    await Promise.all(this.#underWay);
    clearTimeout(timer);
    this.#closing.abort(closedError());
  }
}
