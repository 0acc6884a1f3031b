/** Lets a separate process check a backup, with a deadline. check-process.ts does the work. */

import { stat } from 'node:fs/promises';
import { DatabaseError, NotFoundError, reviveError, type WireError } from '../errors.ts';
import { runChild } from '../runtime/child-process.ts';
import { saysFull } from '../runtime/disk-space.ts';
import { hasCode } from '../runtime/thrown.ts';
import { MIB } from '../values/byte-units.ts';
import type { CatalogCounts, Manifest } from './manifest.ts';
import type { StageMark } from './marks.ts';

/** The schema that a release creates in a new file. */
export interface ReleaseSchema {
  readonly statements: readonly string[];
  /** The checksums of the migrations in its journal, by version. */
  readonly checksums: readonly string[];
}

/** The order for the process; plain data. */
export type CheckOrder =
  /** Read a backup and compare it with its manifest; copy it to the stage (an empty file) unless that is null. */
  | {
      readonly kind: 'read';
      readonly path: string;
      readonly manifest: Manifest | null;
      readonly stage: string | null;
      /** The schema to compare with. */
      readonly release?: ReleaseSchema | undefined;
    }
  /** Verify a new copy; compress it into an empty file unless that is null. */
  | {
      readonly kind: 'prove';
      readonly path: string;
      readonly counts: CatalogCounts;
      readonly compressTo: string | null;
    }
  /**
   * Prepare a migrated stage for copying into a live file with this page size; mark its content unless the mark is
   * null.
   */
  | {
      readonly kind: 'finish';
      readonly path: string;
      readonly pageSize: number | null;
      readonly stageMark: StageMark | null;
    };

/** The facts of a sound backup. */
export interface Findings {
  readonly sha256: string;
  readonly bytes: number;
  readonly counts: CatalogCounts;
  readonly schemaVersion: number | null;
  readonly databaseId: string | null;
  /** The greatest backup number recorded in its content; 0 if there is none. */
  readonly sequence: number;
  /** Whether it has exactly the schema of the given release; false without one. */
  readonly isPlain: boolean;
}

/** The output of the process. */
export type CheckAnswer =
  | { readonly findings: Findings }
  | { readonly problem: string }
  | { readonly error: WireError };

/** The facts of a sound content, or the problem of an unsound one. */
export type CheckVerdict = Exclude<CheckAnswer, { readonly error: WireError }>;

export interface CheckOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds. Default: depends on the size of the file. */
  readonly deadlineMs?: number | undefined;
}

const DEADLINE_MS = 60_000;
const DEADLINE_MS_PER_MB = 200; // a full check of a sound file took 13 ms per megabyte
const COMPRESSION = 20; // assumed maximum growth of a compressed file, for the deadline

/** The deadline of a check in milliseconds, by the size of the file. */
export async function deadlineFor({ path }: Pick<CheckOrder, 'path'>): Promise<number> {
  const { size } = await stat(path).catch((error: Error) => {
    throw failure(error, path);
  });
  const factor = path.endsWith('.zst') ? COMPRESSION : 1;
  return Math.ceil(DEADLINE_MS + ((size * factor) / MIB) * DEADLINE_MS_PER_MB);
}

/**
 * Runs a check.
 * @throws {DatabaseError} CATALOG_TIMEOUT after the deadline; CATALOG_FULL or CATALOG_IO if the machine fails
 * @throws the reason of the signal
 */
export async function check(order: CheckOrder, { signal, deadlineMs }: CheckOptions = {}): Promise<CheckVerdict> {
  signal?.throwIfAborted();
  const { path } = order;
  const within = deadlineMs ?? (await deadlineFor(order));
  const answer = (await runChild({
    script: 'backup/check-process',
    order,
    deadlineMs: within,
    late: () => late(path, within),
    failed: unchecked(path),
    signal,
  })) as CheckAnswer;
  if ('error' in answer) throw failure(reviveError(answer.error), path);
  return answer;
}

const unchecked = (path: string) => `${path} could not be checked`;

function late(path: string, timeout: number): DatabaseError {
  return new DatabaseError('CATALOG_TIMEOUT', `${path} could not be checked within ${timeout} ms`, {
    hint: 'The disk is very slow, or the file is damaged or hostile; nothing was changed.',
  });
}

function failure(cause: Error, path: string): DatabaseError {
  if (cause instanceof DatabaseError) return cause;
  if (hasCode(cause, 'ENOENT')) {
    return new NotFoundError(path, {
      cause,
      hint: 'It was removed during the check; list the backups that exist.',
    });
  }
  return new DatabaseError(saysFull(cause) ? 'CATALOG_FULL' : 'CATALOG_IO', unchecked(path), { cause });
}
