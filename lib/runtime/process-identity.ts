/** Which process began a piece of work, and whether that process has ended for certain. */

import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { hasCode } from './thrown.ts';

/** The id of a process says nothing on another machine, or in another container, that has the same folder. */
export const MACHINE: string = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

/** When this process began, in milliseconds since 1970. */
export const BEGAN: number = Date.now() - process.uptime() * 1_000;

/** This process; another one with its id, as in the next container, has another start. */
export const THIS_PROCESS = `${MACHINE}-${process.pid}-${Math.round(BEGAN)}`;

/** Whether a process with this id runs on this machine. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

const IDENTITY = /^([0-9a-f]{8})-(\d+)-\d+$/;

/** Whether a process has ended for certain; false for one of another machine, which nobody can tell from here. */
export function hasEnded(identity: string): boolean {
  const [, machine, pid] = IDENTITY.exec(identity) ?? [];
  if (machine !== MACHINE || identity === THIS_PROCESS) return false;
  return Number(pid) === process.pid || !isAlive(Number(pid));
}
