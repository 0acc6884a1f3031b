/**
 * Runs migrations on a copy of a database, in its folder of backups so that the disk is the same, and measures them.
 * The database itself is only read.
 */

import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { workName } from '../backup/paths.ts';
import { partialPath } from '../backup/publish.ts';
import { databaseBytes, removeDeadPartials, takeSnapshot } from '../backup/snapshot.ts';
import { sizeOf } from '../runtime/files.ts';
import { assertOpen } from '../sql/engine.ts';
import { LATEST_VERSION } from './migration-list.ts';
import type { RanMigration } from './migration-run.ts';
import { type ChangeOptions, type MigratorHost, SchemaChange } from './schema-change.ts';
import { verifySchema } from './verification.ts';

/** The measurements of a rehearsal. Sizes in bytes, durations in milliseconds. */
export interface Rehearsal {
  readonly from: number;
  readonly to: number;
  readonly migrations: readonly RanMigration[];
  /** Making and checking the copy. */
  readonly copyMs: number;
  /** All migrations with the checks before and after, and the commit. */
  readonly migrationMs: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** The greatest size of the log. */
  readonly peakWalBytes: number;
  /** Counts of affected rows, by kind. */
  readonly counts: Readonly<Record<string, number>>;
  /** What the migrated copy lacks; empty if it is complete. */
  readonly problems: readonly string[];
}

const WATCH_EVERY_MS = 50;

/** Observes the growth of a log. */
class WalWatch {
  readonly #path: string;
  readonly #timer: NodeJS.Timeout;
  peak = 0;

  constructor(database: string) {
    this.#path = `${database}-wal`;
    this.#timer = setInterval(() => void this.look(), WATCH_EVERY_MS);
    this.#timer.unref();
  }

  async look(): Promise<void> {
    this.peak = Math.max(this.peak, (await sizeOf(this.#path)) ?? 0);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

async function measure(host: MigratorHost, copy: string, options: ChangeOptions) {
  const bytesBefore = await databaseBytes(copy);
  const engine = await host.openCopy(copy);
  const watch = new WalWatch(copy);
  try {
    const rules = { ...host.rules, migrationBackup: false };
    const schema = new SchemaChange({ ...host, engine, database: copy, rules });
    const start = performance.now();
    const { from, to, migrations, counts } = await schema.change('up', options.to ?? LATEST_VERSION, options);
    const migrationMs = Math.round(performance.now() - start);
    await watch.look();
    const { problems } = await verifySchema(engine);
    return { from, to, migrations, counts, migrationMs, bytesBefore, problems, peakWalBytes: watch.peak };
  } finally {
    watch.stop();
    await engine.close();
  }
}

/**
 * Rehearses an upgrade.
 * @throws as a real migration; the copy is always removed
 */
export async function rehearse(host: MigratorHost, options: ChangeOptions): Promise<Rehearsal> {
  const { engine, database, rules, free } = host;
  assertOpen(engine);
  await removeDeadPartials(rules.backupDir);
  const copy = partialPath(join(rules.backupDir, workName(`${basename(database)}-rehearsal`)));
  try {
    const start = performance.now();
    await takeSnapshot(database, copy, { free });
    const copyMs = Math.round(performance.now() - start);
    const measured = await measure(host, copy, options);
    return { ...measured, copyMs, bytesAfter: await databaseBytes(copy) };
  } finally {
    await Promise.all(['', '-journal', '-wal', '-shm'].map((suffix) => rm(`${copy}${suffix}`, { force: true })));
  }
}
