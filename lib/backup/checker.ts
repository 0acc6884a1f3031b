/** Gives a process of its own a backup to check, with a deadline: see check-process.ts for what it does. */
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { DatabaseError, reviveError, toWireError, type WireError } from '../errors.ts';
import { scriptUrl } from '../runtime/scripts.ts';
import type { CatalogCounts, Manifest } from './manifest.ts';
import type { StageMark } from './marks.ts';

/** What is to be done; plain data. */
export type CheckOrder =
  /** Read a backup against its manifest, into a stage (an empty file) unless it is null. */
  | { readonly kind: 'read'; readonly path: string; readonly manifest: Manifest | null; readonly stage: string | null }
  /** Prove a copy that was just taken; compress it into an empty file unless that is null. */
  | {
      readonly kind: 'prove';
      readonly path: string;
      readonly counts: CatalogCounts;
      readonly compressTo: string | null;
    }
  /** Ready a migrated stage to be copied into a live file with such pages, and mark its content unless that is null. */
  | {
      readonly kind: 'finish';
      readonly path: string;
      readonly pageSize: number | null;
      readonly stageMark: StageMark | null;
    };

/** What a sound backup was found to hold. */
export interface Findings {
  readonly sha256: string;
  readonly bytes: number;
  readonly counts: CatalogCounts;
  readonly schemaVersion: number | null;
  readonly databaseId: string | null;
  /** The greatest number that its content knows a backup of it to have had; 0 for none. */
  readonly sequence: number;
}

/** What the process prints. */
export type CheckAnswer =
  | { readonly findings: Findings }
  | { readonly problem: string }
  | { readonly error: WireError };

/** What was found: the facts, or why the content is not sound. */
export type CheckVerdict = Exclude<CheckAnswer, { readonly error: WireError }>;

export interface CheckOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds; by the size of the file if left out. */
  readonly deadlineMs?: number | undefined;
}

const SCRIPT = fileURLToPath(scriptUrl('backup/check-process'));
const DEADLINE_MS = 60_000;
const DEADLINE_MS_PER_MB = 200; // a full check of a sound file took 13 ms a megabyte
const COMPRESSION = 20; // times that a compressed file may grow, for the deadline
const BYTES_PER_MB = 1024 * 1024;

async function deadlineFor({ path }: CheckOrder): Promise<number> {
  const { size } = await stat(path);
  const factor = path.endsWith('.zst') ? COMPRESSION : 1;
  return Math.ceil(DEADLINE_MS + ((size * factor) / BYTES_PER_MB) * DEADLINE_MS_PER_MB);
}

/**
 * Has a backup checked.
 * @throws {DatabaseError} CATALOG_TIMEOUT past the deadline, CATALOG_FULL, CATALOG_IO when the machine failed
 * @throws the reason of the signal
 */
export async function check(order: CheckOrder, { signal, deadlineMs }: CheckOptions = {}): Promise<CheckVerdict> {
  signal?.throwIfAborted();
  const timeout = deadlineMs ?? (await deadlineFor(order));
  const answer = await run(order, timeout, signal);
  if ('error' in answer) throw failure(reviveError(answer.error), order.path);
  return answer;
}

/** The last line is the answer: what a preload of the process prints stands before it. */
function answerOf(stdout: string): CheckAnswer | undefined {
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  } catch {
    return undefined;
  }
}

const unread = (path: string) =>
  toWireError(new DatabaseError('CATALOG_IO', `the process that checks ${path} gave no answer that can be read`));

function run(order: CheckOrder, timeout: number, signal: AbortSignal | undefined): Promise<CheckAnswer> {
  const options = { timeout, killSignal: 'SIGKILL', windowsHide: true, ...(signal ? { signal } : {}) } as const;
  return new Promise((resolve, reject) => {
    const child = execFile(
      process.execPath,
      ['--no-warnings', SCRIPT, JSON.stringify(order)],
      options,
      (error, stdout) => {
        if (signal?.aborted) reject(signal.reason);
        else if (error === null) resolve(answerOf(stdout) ?? { error: unread(order.path) });
        else reject(child.killed ? late(order.path, timeout) : failure(error, order.path));
      },
    );
  });
}

function late(path: string, timeout: number): DatabaseError {
  return new DatabaseError('CATALOG_TIMEOUT', `${path} could not be checked within ${timeout} ms`, {
    hint: 'The disk is very slow, or the file is damaged or hostile; nothing was changed.',
  });
}

function failure(cause: Error, path: string): DatabaseError {
  if (cause instanceof DatabaseError) return cause;
  const { code, errcode } = cause as { code?: string; errcode?: number };
  const isFull = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG' || errcode === 13; // SQLITE_FULL
  return new DatabaseError(isFull ? 'CATALOG_FULL' : 'CATALOG_IO', `${path} could not be checked`, { cause });
}
