/**
 * How much of the machine's processors other processes use while a round runs, from /proc/stat. Except on Linux this is
 * unknown and counts as none.
 */
import { readFileSync } from 'node:fs';
import { note } from './notes.ts';

const TICKS_PER_SECOND = 100; // USER_HZ, the same on every Linux architecture Node runs on
const MICROSECONDS = 1e6;
const CHILD_USER_FIELD = 13; // cutime, counted from the field after the name; see proc_pid_stat(5)
const WORTH_TELLING = 0.2; // processors

/** Seconds of every processor's time that were not idle; steal counts, as someone else had the processor then. */
function busySeconds(): number {
  try {
    const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = readFileSync('/proc/stat', 'utf8')
      .split('\n', 1)[0]!
      .split(/\s+/)
      .map(Number);
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND;
  } catch {
    return Number.NaN; // not Linux
  }
}

/** Processor seconds of the processes that this one has started and waited for: contestants, not others. */
function childSeconds(): number {
  try {
    const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ') ?? [];
    const [user = 0, system = 0] = [fields[CHILD_USER_FIELD], fields[CHILD_USER_FIELD + 1]].map(Number);
    return (user + system) / TICKS_PER_SECOND;
  } catch {
    return 0; // not Linux
  }
}

function ownSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / MICROSECONDS + childSeconds();
}

/** Watches from its construction. */
export class OthersWatch {
  readonly #start = performance.now();
  readonly #busy = busySeconds();
  readonly #own = ownSeconds();

  /** Processors that others used since the watch began, such as 0.5 for half of one. */
  processors(): number {
    const seconds = (performance.now() - this.#start) / 1_000;
    const theirs = busySeconds() - this.#busy - (ownSeconds() - this.#own);
    return Number.isNaN(theirs) ? 0 : Math.max(0, theirs) / seconds;
  }

  /** Warns on stderr if other processes disturbed the rounds that count. */
  static tell(processors: readonly number[]): void {
    const most = Math.max(...processors);
    if (most > WORTH_TELLING) note(`  other processes used up to ${most.toFixed(1)} processors in rounds that count`);
  }
}
