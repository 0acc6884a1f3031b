/**
 * Publishes each call of a procedure to `node:diagnostics_channel`, for tracing tools: the channels of
 * `tracingChannel('backup-catalog:procedure')`. Events hold names and codes only, no input, no result and no message,
 * because subscribers store them. Without a subscriber nothing is built.
 */
import { tracingChannel } from 'node:diagnostics_channel';
import { DatabaseError, type ErrorCode } from '../errors.ts';
import type { Intent } from './procedure.ts';

/** The name of the tracing channel. */
export const TRACING_CHANNEL = 'backup-catalog:procedure';

/** The event of a call: one object from its start to its end. */
export interface ProcedureTrace {
  /** The procedure's name, such as `files.save`. */
  readonly procedure: string;
  readonly intent: Intent;
  /** The path of the database file. */
  readonly database: string;
  /** Whether the call is part of a transaction over several calls. */
  readonly transaction: boolean;
  /** The outcome; undefined until the call has ended. */
  outcome?: 'ok' | 'error';
  /** For a failed call: its code, or the name of an error from outside the library (`AbortError`, `TypeError`). */
  error?: ErrorCode | (string & {});
}

const channels = tracingChannel<unknown, ProcedureTrace>(TRACING_CHANNEL);

/** Whether anybody listens; checked before each call. */
export const isTraced = (): boolean => channels.hasSubscribers;

/** The kind of an error. A custom name may hold anything, so only plain words are published. */
function kindOf(error: unknown): string {
  if (error instanceof DatabaseError) return error.code;
  const name = error instanceof Error ? error.name : '';
  return /^\w{1,64}$/.test(name) ? name : 'Error';
}

/**
 * Makes a call and publishes it: `start` and `end` around the call itself, `asyncStart` and `asyncEnd` when it has
 * ended, and before them `error` if it failed. `start` runs the call in the stores bound to it.
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
