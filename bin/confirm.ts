/** Asking the person at the terminal before something that is hard to undo. */
import { createInterface } from 'node:readline/promises';
import { UsageError } from './errors.ts';
import { tell } from './output.ts';

const canAsk = () => process.stdin.isTTY === true;

interface Question {
  /** The name of the command, for the error where nobody can answer. */
  readonly command: string;
  readonly text: string;
}

/**
 * Whether to go on: `--yes` decides it, else the person at the terminal.
 * @throws {UsageError} without `--yes` where there is no terminal
 */
export async function mayGoOn(yes: boolean | undefined, { command, text }: Question): Promise<boolean> {
  if (yes) return true;
  if (!canAsk()) throw new UsageError(`without a terminal to ask on, \`${command}\` needs --yes; nothing was changed`);
  if (await confirmed(text)) return true;
  tell('nothing was changed');
  return false;
}

/** Asks; anything but a yes is a no. */
async function confirmed(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    // A terminal that is closed instead (Ctrl-D, Ctrl-C) never answers.
    const { promise: closed, resolve } = Promise.withResolvers<string>();
    terminal.once('close', () => resolve(''));
    const answer = await Promise.race([terminal.question(`${question} [y/N] `), closed]);
    return /^y(?:es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}
