/** Asks questions with a common deadline: each gets an answer, an error, or the fact that the deadline came first. */
import type { CallOptions } from '../sql/engine.ts';

/** The result of a question: an answer, an error, or no answer. */
export type Answer<Value> =
  | { readonly value: Value }
  | { readonly error: unknown }
  /** At the deadline: `waiting`, it had not begun; `running`, it had begun. `given up`: the caller's signal fired. */
  | { readonly unanswered: 'waiting' | 'running' | 'given up' };

/** A deadline for any number of questions. */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #over: Promise<'over'>;
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal | undefined;
  readonly #giveUp: () => void;
  #isGivenUp = false;

  constructor(milliseconds: number, signal: AbortSignal | undefined) {
    const end = () => this.#controller.abort(this);
    const giveUp = () => {
      this.#isGivenUp = true;
      end();
    };
    this.#timer = setTimeout(end, milliseconds);
    this.#signal = signal;
    this.#giveUp = giveUp;
    signal?.addEventListener('abort', giveUp, { once: true });
    this.#over = new Promise((resolve) => {
      // One turn later, because a call that has not begun leaves its queue first, which distinguishes it from a running
      // one.
      this.#controller.signal.addEventListener('abort', () => setImmediate(resolve, 'over'), { once: true });
    });
    if (signal?.aborted) giveUp();
  }

  /** Never throws or waits beyond the deadline. */
  async ask<Value>(question: (call: CallOptions) => Promise<Value>): Promise<Answer<Value>> {
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

  /** Ends the timer and stops listening to the caller's signal. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#giveUp);
  }
}

/** Asks one question. Never throws. */
export async function answerWithin<Value>(
  milliseconds: number,
  question: (call: CallOptions) => Promise<Value>,
): Promise<Answer<Value>> {
  const deadline = new Deadline(milliseconds, undefined);
  const answer = await deadline.ask(question);
  deadline.stop();
  return answer;
}
