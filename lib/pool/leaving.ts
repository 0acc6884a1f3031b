/**
 * Lets the process end although a thread of it does not: Node.js waits for its threads when it exits, and one that is inside
 * a statement without end keeps it for ever, also after process.exit(). So the process is replaced by a program that ends
 * with the same exit code, which the system does without asking any thread. Only for threads that were given up while
 * they were at work, and only as long as one of them has not returned.
 */
import { existsSync } from 'node:fs';
import process from 'node:process';
import { isMainThread } from 'node:worker_threads';

const SHELL = '/bin/sh';

let stuck = 0;

function leave(code: number): void {
  if (stuck === 0) return;
  try {
    if (existsSync(SHELL)) process.execve?.(SHELL, ['sh', '-c', `exit ${code}`], {});
  } catch {
    // Not allowed (permission model), or not on this system: the way below is left.
  }
  process.kill(process.pid, 'SIGKILL');
}

/** Has the process end without waiting for a thread that was given up, until that has ended after all. */
export function leaveWithout(ended: Promise<void>): void {
  if (!isMainThread) return; // a thread may not replace the process of others
  if (stuck === 0) process.on('exit', leave);
  stuck += 1;
  void ended.then(() => {
    stuck -= 1;
    if (stuck === 0) process.off('exit', leave);
  });
}
