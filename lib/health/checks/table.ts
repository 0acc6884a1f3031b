/**
 * The one table of checks, in the order of the report. The report, `application/health+json`, `HEALTH_CHECKS`,
 * `HEALTH_CODES` and the tables of docs/API.md follow from it.
 */
import { fileModes } from './file-modes.ts';
import { LIVENESS } from './liveness.ts';
import { MAINTENANCE } from './maintenance.ts';
import { migrations } from './migrations.ts';
import { quotas } from './quotas.ts';
import { RESOURCES } from './resources.ts';
import { search } from './search.ts';
import { SIZE } from './size.ts';
import { transfers } from './transfers.ts';

export const CHECKS = [
  ...LIVENESS,
  ...RESOURCES,
  migrations,
  quotas,
  ...MAINTENANCE,
  ...SIZE,
  transfers,
  search,
  fileModes,
] as const;
