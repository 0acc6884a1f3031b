/**
 * Tells `node:diagnostics_channel` of each call of a procedure, for tracing tools: the channels of
 * `tracingChannel('backup-catalog:procedure')`. What is told holds names and codes only, no input, no result and no
 * message, because subscribers write it down. Without a subscriber nothing is built.
 */
import { tracingChannel } from 'node:diagnostics_channel';
import { DatabaseError, type ErrorCode } from '../errors.ts';
import type { Intent } from './procedure.ts';

/** The name of the tracing channel. */
export const TRACING_CHANNEL = 'backup-catalog:procedure';

/** What subscribers are told of a call: one object from its start to its end. */
export interface ProcedureTrace {
  /** The procedure's name, such as `files.save`. */
  readonly procedure: string;
  readonly intent: Intent;
  /** The path of the database file. */
  readonly database: string;
  /** Whether the call is part of a transaction over several calls. */
  readonly transaction: boolean;
  /** How the call ended; undefined until it has. */
  outcome?: 'ok' | 'error';
  /** Of a call that failed: its code, or the name of an error that is not ours (`AbortError`, `TypeError`). */
  error?: ErrorCode | (string & {});
}

const channels = tracingChannel<unknown, ProcedureTrace>(TRACING_CHANNEL);

/** Whether anybody listens; asked before each call. */
export const isTraced = (): boolean => channels.hasSubscribers;

/** The kind of an error. A name that somebody made up may hold anything, so only words are told. */
function kindOf(error: unknown): string {
  if (error instanceof DatabaseError) return error.code;
  const name = error instanceof Error ? error.name : '';
  return /^\w{1,64}$/.test(name) ? name : 'Error';
}

/**
 * Makes a call and publishes it: `start` and `end` around the moment it is made, `asyncStart` and `asyncEnd` when it has
 * ended, before them `error` if it failed. `start` runs the call in the stores that are bound to it.
 */
export function traceCall<Output>(trace: ProcedureTrace, call: () => Promise<Output>): Promise<Output> {
  const { start, end, asyncStart, asyncEnd, error } = channels;
  const settled = (outcome: 'ok' | 'error') => {
    trace.outcome = outcome;
    if (outcome === 'error') error.publish(trace);
    asyncStart.publish(trace);
    asyncEnd.publish(trace);
  };
  return start.runStores(trace, () => {
    const result = call().then(
      (output) => {
        settled('ok');
        return output;
      },
      (thrown: unknown) => {
        trace.error = kindOf(thrown);
        settled('error');
        throw thrown;
      },
    );
    end.publish(trace);
    return result;
  });
}
