/**
 * Estimates how long migrations take: microseconds per row as measured on one machine, scaled by how fast this machine
 * runs a short piece of similar work. The figures are in docs/MIGRATIONS.md; the benchmark compares them with real
 * runs.
 */

import type { Direction, Migration } from '../schema/migration.ts';
import { one, procedure, type Steps } from '../sql/procedure.ts';
import { raw } from '../sql/template.ts';
import { MIB } from '../values/byte-units.ts';

const MICROSECONDS_PER_MS = 1_000;

/** The duration of the probe on the machine where the costs were measured, in milliseconds. */
export const REFERENCE_PROBE_MS = 25;

/**
 * Milliseconds per megabyte of the database: for copying it, checking the copy completely, and checking before and
 * after.
 */
const BACKUP_MS_PER_MB = 16;
const VALIDATION_MS_PER_MB = 5;

// The log holds every changed page, and moved pages are in the log as well as in the file.
const LOG_FACTOR = 2;

const PROBES = 5; // a single one may take half as long again, because of a sleeping core or a busy neighbour

/** Times a fixed piece of work on a connection's thread, in milliseconds: arithmetic, sorting, a b-tree. */
export const speedProbe = procedure('migrations.speedProbe', 'read', function* (_: null): Steps<number> {
  const took: number[] = [];
  while (took.length < PROBES) {
    const start = performance.now();
    yield* one(
      raw(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
      SELECT count(*) AS "count" FROM (SELECT hex(i * 7919 % 104729) AS h FROM n ORDER BY h)`),
    );
    took.push(performance.now() - start);
  }
  return took.sort((a, b) => a - b)[Math.floor(PROBES / 2)] ?? 0;
});

/** The estimate of one migration. */
export interface PlannedMigration {
  readonly version: number;
  readonly name: string;
  /** Rows it touches. */
  readonly rows: number;
  readonly estimatedMs: number;
  /** Going down: what the older schema cannot hold; null if nothing is lost. */
  readonly loses: string | null;
}

/** The facts that a plan is based on. */
export interface Measured {
  readonly rows: Readonly<Record<string, number>>;
  readonly databaseBytes: number;
  /** The result of {@link speedProbe} here. */
  readonly probeMs: number;
  readonly backup: boolean;
  readonly validation: boolean;
}

/** The estimate of several migrations together. */
export interface Estimate {
  readonly migrations: PlannedMigration[];
  readonly estimatedMs: number;
  /** Additional bytes that the database and its log will need. */
  readonly growthBytes: number;
}

function planOne(migration: Migration, direction: Direction, measured: Measured, factor: number): PlannedMigration {
  const { version, name, cost, loses } = migration;
  const rows = cost === undefined ? 0 : (measured.rows[cost.table] ?? 0);
  const each = direction === 'up' ? cost?.upMicroseconds : cost?.downMicroseconds;
  const estimatedMs = Math.round((rows * (each ?? 0) * factor) / MICROSECONDS_PER_MS);
  return { version, name, rows, estimatedMs, loses: direction === 'down' ? (loses ?? null) : null };
}

/** Estimates migrations in the order they run. */
export function estimate(migrations: readonly Migration[], direction: Direction, measured: Measured): Estimate {
  const factor = measured.probeMs / REFERENCE_PROBE_MS;
  const planned = migrations.map((migration) => planOne(migration, direction, measured, factor));
  const megabytes = measured.databaseBytes / MIB;
  const around = (measured.backup ? BACKUP_MS_PER_MB : 0) + (measured.validation ? VALIDATION_MS_PER_MB : 0);
  const added = migrations.reduce(
    (sum, { cost }, position) => sum + (cost?.bytes ?? 0) * (planned[position]?.rows ?? 0),
    0,
  );
  const touches = planned.some(({ rows }) => rows > 0);
  return {
    migrations: planned,
    estimatedMs: planned.reduce((sum, { estimatedMs }) => sum + estimatedMs, Math.round(megabytes * around * factor)),
    growthBytes: touches ? Math.ceil(measured.databaseBytes * LOG_FACTOR + added) : 0,
  };
}
