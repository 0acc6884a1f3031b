/** Verifies backups against their manifests, and copies verified ones to a stage. */

import { dirname } from 'node:path';
import { DatabaseError } from '../errors.ts';
import { assertRoom, type FreeBytes, freeBytes } from '../runtime/disk-space.ts';
import { sizeOf } from '../runtime/files.ts';
import { type CheckOptions, type CheckVerdict, check, type Findings, type ReleaseSchema } from './checker.ts';
import { type Manifest, readManifest } from './manifest.ts';
import { workName } from './paths.ts';
import { createPrivate, partialPath, removeDatabase } from './publish.ts';
import { NotRegular } from './regular-file.ts';
import { announcedSize, Unsound } from './unpacking.ts';

/** The result of a verification. */
export interface BackupVerdict {
  readonly ok: boolean;
  /** Texts; empty for a sound backup. */
  readonly problems: string[];
  /** The manifest beside the backup; null if there is none or it is unreadable. */
  readonly manifest: Manifest | null;
}

const verdict = (manifest: Manifest | null, ...problems: string[]): BackupVerdict => ({
  ok: problems.length === 0,
  problems,
  manifest,
});

/** The unpacked size of a file with its logs, or why the file is not sound. */
async function sizeInStage(
  path: string,
  size: number,
): Promise<{ readonly bytes: number } | { readonly problem: string }> {
  try {
    const logs = await Promise.all(['-wal', '-journal'].map((suffix) => sizeOf(`${path}${suffix}`)));
    return { bytes: logs.reduce<number>((sum, bytes = 0) => sum + bytes, await announcedSize(path, size)) };
  } catch (error) {
    if (error instanceof NotRegular) return { problem: 'it is not a regular file' };
    if (error instanceof Unsound) return { problem: error.message };
    throw new DatabaseError('CATALOG_IO', `${path} cannot be read`, { cause: error });
  }
}

/** Checks a compressed backup, which has to be unpacked for this. */
async function unpacked(
  path: string,
  manifest: Manifest,
  { free = freeBytes, ...options }: VerifyOptions,
): Promise<CheckVerdict> {
  const size = await sizeInStage(path, manifest.bytes);
  if ('problem' in size) return size;
  const scratch = partialPath(`${path}.${workName('check')}`);
  await assertRoom(dirname(scratch), size.bytes, 'checking the backup', free);
  await createPrivate(scratch);
  try {
    return await check({ kind: 'read', path, manifest, stage: scratch }, options);
  } finally {
    await removeDatabase(scratch);
  }
}

export interface VerifyOptions extends CheckOptions {
  readonly free?: FreeBytes | undefined;
}

/**
 * Verifies a backup completely: checksum, every page and index, row counts, schema version and identity. Damage is a
 * result, never an error.
 * @throws {DatabaseError} CATALOG_TIMEOUT, CATALOG_IO, CATALOG_FULL: if the verification was not possible
 */
export async function verifyBackup(path: string, options: VerifyOptions = {}): Promise<BackupVerdict> {
  const { manifest, problem } = await readManifest(path);
  if (manifest === null) return verdict(null, problem);
  const bytes = (await sizeOf(path)) ?? 0;
  // No separate process needed: this does not read the file.
  if (bytes !== manifest.bytes) return verdict(manifest, `it has ${bytes} bytes, the manifest says ${manifest.bytes}`);
  const found = manifest.compressed
    ? await unpacked(path, manifest, options)
    : await check({ kind: 'read', path, manifest, stage: null }, options);
  return 'problem' in found ? verdict(manifest, found.problem) : verdict(manifest);
}

export const invalid = (path: string, problem: string, hint?: string): DatabaseError =>
  new DatabaseError('CATALOG_BACKUP_INVALID', `${path}: ${problem}`, hint === undefined ? {} : { hint });

/** A verified copy of a backup on a stage. */
export interface Staged {
  readonly manifest: Manifest | null;
  readonly findings: Findings;
}

export interface StageOptions extends VerifyOptions {
  /** Accept a file without a manifest if it is sound. */
  readonly allowMissingManifest: boolean;
  /** The schema to compare with that of the backup. */
  readonly release: ReleaseSchema;
}

/**
 * Copies a backup to a new file at `stage` and verifies that copy, so later changes of the backup do not matter.
 * @throws {DatabaseError} CATALOG_BACKUP_INVALID if it does not verify; the stage is removed
 */
export async function stageBackup(path: string, stage: string, options: StageOptions): Promise<Staged> {
  const { allowMissingManifest, release, free = freeBytes, ...rest } = options;
  const { manifest, problem } = await readManifest(path);
  if (manifest === null && !allowMissingManifest) {
    const hint = 'Choose another backup; only if there is none, use allowMissingManifest.';
    throw invalid(path, problem, hint);
  }
  const bytes = (await sizeOf(path)) ?? 0;
  if (manifest !== null && manifest.bytes !== bytes) {
    throw invalid(path, `it has ${bytes} bytes, the manifest says ${manifest.bytes}`);
  }
  const size = await sizeInStage(path, bytes);
  if ('problem' in size) throw invalid(path, size.problem);
  await assertRoom(dirname(stage), size.bytes, 'reading the backup', free);
  await createPrivate(stage);
  try {
    const found = await check({ kind: 'read', path, manifest, stage, release }, rest);
    if ('problem' in found) throw invalid(path, found.problem);
    return { manifest, findings: found.findings };
  } catch (error) {
    await removeDatabase(stage);
    throw error;
  }
}
