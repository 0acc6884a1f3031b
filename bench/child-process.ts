/** Child processes of a run: one at a time, each in its own process group, so that stopping it stops its children. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

const running = new Set<ChildProcess>();

/**
 * Returns what a program writes to stdout; it shares the stderr of the run.
 * @throws when it ends with another code than 0
 */
export async function runChild(program: string, args: readonly string[], cwd: string): Promise<string> {
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  running.add(child);
  try {
    const [output, [code, signal]] = await Promise.all([text(child.stdout), once(child, 'close')]);
    if (code === 0) return output;
    throw new Error(`${program} ${args[0]} ended with ${code ?? signal}\n${output}`);
  } finally {
    running.delete(child);
  }
}

/** Ends every child and its children at once. */
export function killChildren(): void {
  for (const { pid } of running) {
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
}
