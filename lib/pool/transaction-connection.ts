/**
 * The connection of a transaction over several calls: the calls run one after the other, in the order of calling, until
 * the transaction ends. open-transactions.ts decides who gets one and for how long.
 */
import { type DatabaseError, reviveError } from '../errors.ts';
import type { CallLog } from '../sql/call-log.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';
import type { Intent, Procedure } from '../sql/procedure.ts';
import { isTraced, traceCall } from '../sql/tracing.ts';
import type { Request } from './protocol.ts';
import type { ThreadHandle } from './thread-handle.ts';

/** The log that measures calls, and their database. */
export interface TransactionContext {
  readonly database: string;
  readonly log: CallLog;
}

/** The connection of one transaction. */
export class TransactionConnection implements Executor {
  readonly #thread: ThreadHandle;
  readonly intent: Intent;
  readonly #context: TransactionContext;
  #last: Promise<unknown> = Promise.resolve();
  #ended: DatabaseError | undefined;

  constructor(thread: ThreadHandle, intent: Intent, context: TransactionContext) {
    this.#thread = thread;
    this.intent = intent;
    this.#context = context;
  }

  get active(): boolean {
    return this.#ended === undefined;
  }

  async run<Input, Output>(
    wanted: Procedure<Input, Output>,
    input: Input,
    { signal }: CallOptions = {},
  ): Promise<Output> {
    const call = () => this.#call(wanted, input, signal);
    if (!isTraced()) return call();
    const { name, intent } = wanted;
    return traceCall({ procedure: name, intent, database: this.#context.database, transaction: true }, call);
  }

  async #call<Input, Output>(
    wanted: Procedure<Input, Output>,
    input: Input,
    signal: AbortSignal | undefined,
  ): Promise<Output> {
    const { log } = this.#context;
    const { name, intent } = wanted;
    const since = performance.now();
    const onAnswer = (ok: boolean) => log.answered(name, intent, ok, performance.now() - since);
    try {
      signal?.throwIfAborted();
      return wanted.decode(await this.#next({ kind: 'call', call: [name, input] }, onAnswer));
    } catch (error) {
      log.threw(error);
      throw error;
    }
  }

  async begin(suspendForeignKeys: boolean): Promise<void> {
    await this.#next({ kind: 'begin', intent: this.intent, suspendForeignKeys });
  }

  /** Ends the transaction once all sent calls are answered; later calls are refused with `reason`. */
  async end(commit: boolean, reason: DatabaseError): Promise<void> {
    if (!this.active) return;
    const ending = this.#next({ kind: 'end', commit });
    this.#ended = reason;
    await ending;
  }

  /** Refuses later calls on a connection that was held without a transaction. */
  retire(reason: DatabaseError): void {
    this.#ended = reason;
  }

  // Concurrent calls of the callback run one after the other, in the order of calling.
  #next(request: Request, onAnswer?: (ok: boolean) => void): Promise<unknown> {
    const send = async () => {
      const { outcomes } = await this.#thread.request(request);
      const [outcome] = outcomes;
      onAnswer?.(outcome?.ok === true);
      if (outcome?.ok === false) throw reviveError(outcome.error);
      return outcome?.value;
    };
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const result = this.#last.then(send);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
