/** Runs the command line as its users do: a process of its own, its two outputs apart. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

export const ENTRY = fileURLToPath(new URL('../bin/backup-catalog.ts', import.meta.url));

// Halves the time a process takes to start, which is most of what these tests wait for.
const COMPILE_CACHE = fileURLToPath(new URL('../.tap/compile-cache', import.meta.url));

export interface Finished {
  /** The exit code; null when a signal ended the process. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const environment = (extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  ...process.env,
  NODE_COMPILE_CACHE: COMPILE_CACHE,
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

/** Runs the command line. */
export const cli = (args: readonly string[], options: SpawnOptions = {}): Promise<Finished> =>
  execute(process.execPath, [ENTRY, ...args], options);

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
