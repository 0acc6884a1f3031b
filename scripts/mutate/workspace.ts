/** A copy of the project in a temporary folder, where a mutant's tests run. */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/** How a program ended. */
export type Ending = 'passed' | 'failed' | 'late';

const LEFT_OUT = new Set(['node_modules', '.git', '.tap', 'dist', 'coverage']);

/** The compiler settings for the library alone, which takes half as long as the whole project. */
const LIBRARY = 'tsconfig.library.json';

/** Runs of a property: enough to reach every kind of event, few enough that a test takes seconds. */
const RUNS = '4';

export class Workspace {
  readonly folder: string;
  #running: (() => void) | undefined;

  constructor(root: string) {
    this.folder = mkdtempSync(join(tmpdir(), 'mutate-'));
    cpSync(root, this.folder, { recursive: true, filter: (path) => path === root || !LEFT_OUT.has(basename(path)) });
    symlinkSync(join(root, 'node_modules'), join(this.folder, 'node_modules'), 'dir');
    this.write(LIBRARY, JSON.stringify({ extends: './tsconfig.json', include: ['lib'] }));
  }

  write(file: string, source: string): void {
    writeFileSync(join(this.folder, file), source);
  }

  /** Runs a test file up to its first failure. */
  test(name: string, deadlineMs: number): Promise<Ending> {
    return this.#run(
      process.execPath,
      ['--import=./test/fixtures/bare-children.ts', `test/${name}.test.ts`],
      deadlineMs,
    );
  }

  /** Whether the compiler accepts the library's sources. */
  async compiles(deadlineMs: number): Promise<boolean> {
    return (await this.#run(join('node_modules', '.bin', 'tsc'), ['-p', LIBRARY], deadlineMs)) === 'passed';
  }

  /** Runs a program in the folder, and stops it and its children at the deadline. */
  #run(program: string, args: readonly string[], deadlineMs: number): Promise<Ending> {
    const { promise, resolve } = Promise.withResolvers<Ending>();
    const child = spawn(program, args, {
      cwd: this.folder,
      stdio: 'ignore',
      detached: true,
      env: { ...process.env, TAP_BAIL: '1', TAP_TIMEOUT: '600', RUNS, SEED: '1' },
    });
    const stop = () => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // The whole group has ended.
      }
    };
    const timer = setTimeout(() => {
      resolve('late');
      stop();
    }, deadlineMs);
    this.#running = stop;
    child.once('error', () => resolve('failed'));
    child.once('exit', (code) => {
      resolve(code === 0 ? 'passed' : 'failed');
      stop(); // what a failed test left running
    });
    return promise.finally(() => {
      clearTimeout(timer);
      this.#running = undefined;
    });
  }

  /** Stops running programs and removes the folder. */
  remove(): void {
    this.#running?.();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
