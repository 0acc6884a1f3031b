/** Asking the person at the terminal before something that is hard to undo. */
import { createInterface } from 'node:readline/promises';

/** Whether somebody is there to be asked. */
export const canAsk = (): boolean => process.stdin.isTTY === true;

/** Asks; anything but a yes is a no. */
export async function confirmed(question: string): Promise<boolean> {
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
