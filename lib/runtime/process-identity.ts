/** Identifies the process that began some work, and tells whether that process has certainly ended. */

import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { hasCode } from './thrown.ts';

/** A process id means nothing on another machine or in another container that shares the folder. */
export const MACHINE: string = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

/** When this process began, in milliseconds since 1970. */
export const BEGAN: number = Date.now() - process.uptime() * 1_000;

/** This process; one with the same id, such as in the next container, has another start time. */
export const THIS_PROCESS = `${MACHINE}-${process.pid}-${Math.round(BEGAN)}`;

/** Whether a process with this id is running on this machine. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

const IDENTITY = /^([0-9a-f]{8})-(\d+)-\d+$/;

/** Whether a process has certainly ended; false for one of another machine, which cannot be checked from here. */
export function hasEnded(identity: string): boolean {
  const [, machine, pid] = IDENTITY.exec(identity) ?? [];
  if (machine !== MACHINE || identity === THIS_PROCESS) return false;
  return Number(pid) === process.pid || !isAlive(Number(pid));
}
