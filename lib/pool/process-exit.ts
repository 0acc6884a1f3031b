/**
 * Lets the process exit while an abandoned thread is still inside a statement. Node.js joins its threads on exit, even
 * after process.exit(), so an endless statement keeps the process alive for ever. Replacing the process with a program
 * that exits with the same code ends it without asking any thread. This applies only while an abandoned thread has not
 * returned.
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
    // Forbidden by the permission model, or missing on this system: fall through to the signal.
  }
  process.kill(process.pid, 'SIGKILL');
}

/** Makes the process exit without waiting for an abandoned thread, until that thread ends after all. */
export function exitWithout(ended: Promise<void>): void {
  if (!isMainThread) return; // a thread may not replace the process of its host
  if (stuck === 0) process.on('exit', leave);
  stuck += 1;
  void ended.then(() => {
    stuck -= 1;
    if (stuck === 0) process.off('exit', leave);
  });
}
