/** Every migration, oldest first. */
import { baseSchema } from '../schema/base-schema.ts';
import type { Migration, MigrationStep } from '../schema/migration.ts';
import { catalogSchema } from './catalog-schema.ts';
import { deletionSchema } from './deletion-schema.ts';
import { exactnessSchema } from './exactness-schema.ts';
import { maintenanceSchema } from './maintenance-schema.ts';
import { operationQuotaSchema, operationSchema } from './operation-schema.ts';
import { quotaSchema } from './quota-schema.ts';
import { reservationSchema } from './reservation-schema.ts';
import { foldSchema, searchSchema } from './search-schema.ts';
import { runningTotals } from './statistics-schema.ts';
import { writerSchema } from './writer-schema.ts';

const STEPS: readonly MigrationStep[] = [
  ...baseSchema,
  ...catalogSchema,
  runningTotals,
  ...reservationSchema,
  ...searchSchema,
  ...maintenanceSchema,
  ...operationSchema,
  ...quotaSchema,
  ...operationQuotaSchema,
  ...exactnessSchema,
  ...deletionSchema,
  ...writerSchema,
  ...foldSchema,
];

export const MIGRATIONS: readonly Migration[] = STEPS.map((step, version) => ({ ...step, version }));

/** The version to which this release migrates a file. */
export const LATEST_VERSION = MIGRATIONS.length - 1;

/** @throws {RangeError} for an unknown version */
export function migrationOf(version: number): Migration {
  const found = MIGRATIONS[version];
  if (found?.version !== version) throw new RangeError(`there is no migration ${version}`);
  return found;
}
