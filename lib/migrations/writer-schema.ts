/**
 * A mark that a transaction of saves sets while it updates the totals itself, so that the triggers count nothing twice:
 * sixty-four saves then change each total once. The mark is a row that is deleted before the commit, so nobody else
 * sees it. For writers that set no mark, the triggers count as before.
 */
import { COUNTING_VERSION, WRITER_TABLE } from '../core/writer-mark.ts';
import type { MigrationStep } from '../schema/migration.ts';
import { COUNTED, createCounting, dropCounting } from './exactness-schema.ts';

/** A release that knows fewer totals sets a lower number, so that triggers added later still count for it. */
const IS_MARKED = `EXISTS (SELECT 1 FROM ${WRITER_TABLE} WHERE Covers >= ${COUNTING_VERSION})`;

const countedSaves: MigrationStep = {
  name: 'counted-saves',
  up: [
    `CREATE TABLE ${WRITER_TABLE} (Covers INTEGER NOT NULL)`,
    ...dropCounting,
    ...createCounting(COUNTED, IS_MARKED),
    'DROP INDEX idx_files_client_verified', // no query uses it
  ],
  down: [
    'CREATE INDEX idx_files_client_verified ON files(ClientID, Verified)',
    ...dropCounting,
    ...createCounting(COUNTED),
    `DROP TABLE ${WRITER_TABLE}`,
  ],
  declares: { down: ['DROP TABLE'] },
  loses: null,
  cost: { table: 'files', upMicroseconds: 0.1, downMicroseconds: 1, bytes: 0 },
  safeVersion: 5,
};

export const writerSchema: readonly MigrationStep[] = [countedSaves];
