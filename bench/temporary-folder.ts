/** A folder of one run, removed at its end and when the run is stopped by a signal. */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { killChildren } from './child-process.ts';

const STOPPED_BY = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const SIGNALLED = 128; // a shell's exit code of a command that a signal ended, less the signal's number
const REMOVAL = { recursive: true, force: true, maxRetries: 20, retryDelay: 50 } as const; // killed processes end meanwhile

export class TemporaryFolder implements Disposable {
  readonly path: string;
  readonly #stop = (signal: (typeof STOPPED_BY)[number]): void => {
    killChildren();
    rmSync(this.path, REMOVAL);
    process.exit(SIGNALLED + constants.signals[signal]);
  };

  private constructor(path: string) {
    this.path = path;
    for (const signal of STOPPED_BY) process.on(signal, this.#stop);
  }

  static async make(): Promise<TemporaryFolder> {
    return new TemporaryFolder(await mkdtemp(join(tmpdir(), 'catalog-bench-')));
  }

  [Symbol.dispose](): void {
    for (const signal of STOPPED_BY) process.off(signal, this.#stop);
    rmSync(this.path, REMOVAL);
  }
}
