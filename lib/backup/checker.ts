/** Gives a process of its own a backup to check, with a deadline: see check-process.ts for what it does. */

import { stat } from 'node:fs/promises';
import { DatabaseError, NotFoundError, reviveError, type WireError } from '../errors.ts';
import { runChild } from '../runtime/child-process.ts';
import { saysFull } from '../runtime/disk-space.ts';
import { hasCode } from '../runtime/thrown.ts';
import { MIB } from '../values/byte-units.ts';
import type { CatalogCounts, Manifest } from './manifest.ts';
import type { StageMark } from './marks.ts';

/** What a release makes of a new file. */
export interface ReleaseSchema {
  readonly statements: readonly string[];
  /** Of the migrations in its journal, by version. */
  readonly checksums: readonly string[];
}

/** What is to be done; plain data. */
export type CheckOrder =
  /** Read a backup against its manifest, into a stage (an empty file) unless it is null. */
  | {
      readonly kind: 'read';
      readonly path: string;
      readonly manifest: Manifest | null;
      readonly stage: string | null;
      /** To be compared with the schema that is found. */
      readonly release?: ReleaseSchema | undefined;
    }
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
  /** Whether its schema is that of the release it was compared with, and nothing else; false without one. */
  readonly isPlain: boolean;
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

const DEADLINE_MS = 60_000;
const DEADLINE_MS_PER_MB = 200; // a full check of a sound file took 13 ms a megabyte
const COMPRESSION = 20; // times that a compressed file may grow, for the deadline

/** Milliseconds that a check may take, by the size of its file. */
export async function deadlineFor({ path }: Pick<CheckOrder, 'path'>): Promise<number> {
  const { size } = await stat(path).catch((error: Error) => {
    throw failure(error, path);
  });
  const factor = path.endsWith('.zst') ? COMPRESSION : 1;
  return Math.ceil(DEADLINE_MS + ((size * factor) / MIB) * DEADLINE_MS_PER_MB);
}

/**
 * Has a backup checked.
 * @throws {DatabaseError} CATALOG_TIMEOUT past the deadline, CATALOG_FULL, CATALOG_IO when the machine failed
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
      hint: 'It was removed while it was checked: look which backups there are.',
    });
  }
  return new DatabaseError(saysFull(cause) ? 'CATALOG_FULL' : 'CATALOG_IO', unchecked(path), { cause });
}
