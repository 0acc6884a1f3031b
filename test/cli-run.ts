/**
 * Runs the command line as its users do. In the long tier that is a process of its own; in the other most calls are made in
 * this process, its outputs caught, because a process takes ten times as long as what a command does.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { isLong } from './fixtures/tier.ts';

export const ENTRY = fileURLToPath(new URL('../bin/backup-catalog.ts', import.meta.url));

export interface Finished {
  /** The exit code; null when a signal ended the process. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const environment = (extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  ...process.env,
  ...extra,
});

/** Waits for a process and gathers what it says. */
export async function finished(child: ChildProcess): Promise<Finished> {
  const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  const read = (stream: ChildProcess['stdout']) => (stream === null ? '' : text(stream));
  const [code, stdout, stderr] = await Promise.all([ended, read(child.stdout), read(child.stderr)]);
  return { code, stdout, stderr };
}

/** Runs any program, with `typed` on its input. */
export function execute(
  program: string,
  args: readonly string[],
  options: SpawnOptions = {},
  typed?: string,
): Promise<Finished> {
  const input = typed === undefined ? 'ignore' : 'pipe';
  const env = environment(options.env);
  const child = spawn(program, args, { stdio: [input, 'pipe', 'pipe'], ...options, env });
  child.stdin?.write(typed ?? '');
  return finished(child).finally(() => child.stdin?.destroy());
}

/** Runs the command line in a process of its own: for signals, users, and what only a process shows. */
export const cliProcess = (args: readonly string[], options: SpawnOptions = {}): Promise<Finished> =>
  execute(process.execPath, [ENTRY, ...args], options);

/** What a command writes, as a pipe would carry it away. */
class Caught extends Writable {
  readonly #chunks: Buffer[] = [];

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.#chunks.push(chunk);
    done();
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}

/** Where and with what environment a command is run. */
export interface CliSurroundings {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Gives this process other streams, another folder and more environment until the work has ended. */
async function surrounded<Result>(
  { cwd, env = {} }: CliSurroundings,
  streams: Pick<PropertyDescriptorMap, 'stdin' | 'stdout' | 'stderr'>,
  work: () => Promise<Result>,
): Promise<Result> {
  const names = Object.keys(streams);
  const before = names.map((name) => [name, Object.getOwnPropertyDescriptor(process, name) ?? {}] as const);
  const [folder, variables, exitCode] = [process.cwd(), { ...process.env }, process.exitCode];
  Object.defineProperties(process, streams);
  Object.assign(process.env, env);
  if (cwd !== undefined) process.chdir(cwd);
  try {
    return await work();
  } finally {
    process.chdir(folder);
    for (const name of Object.keys(env)) delete process.env[name];
    Object.assign(process.env, variables);
    Object.defineProperties(process, Object.fromEntries(before));
    process.exitCode = exitCode;
  }
}

async function cliHere(args: readonly string[], surroundings: CliSurroundings): Promise<Finished> {
  const [stdout, stderr] = [new Caught(), new Caught()];
  const caught = (value: unknown) => ({ value, configurable: true, enumerable: true });
  const streams = { stdin: caught({ isTTY: false }), stdout: caught(stdout), stderr: caught(stderr) };
  const { run } = await import('../bin/main.ts');
  const code = await surrounded(surroundings, streams, () => run(args));
  return { code, stdout: stdout.text, stderr: stderr.text };
}

let last: Promise<unknown> = Promise.resolve();

/** Runs the command line; one call at a time where it is run in this process. */
export function cli(args: readonly string[], surroundings: CliSurroundings = {}): Promise<Finished> {
  if (isLong) return cliProcess(args, surroundings);
  const turn = last.then(() => cliHere(args, surroundings));
  last = turn.catch(() => undefined);
  return turn;
}

/** Why nothing can be run on a terminal here; false where it can. */
export const NO_TERMINAL = !existsSync('/usr/bin/script') && 'script(1), which makes a terminal, is not here';

/** Runs the command line on a terminal, whose lines end in CR LF, with `typed` on its keyboard; arguments must need no quoting. */
export const cliOnTerminal = (
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  typed?: string,
): Promise<Finished> => {
  const command = [process.execPath, ENTRY, ...args].join(' ');
  return execute('script', ['--quiet', '--return', '--command', command, '/dev/null'], { env }, typed);
};
