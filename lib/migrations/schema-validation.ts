/**
 * Checks that migrations did not damage a file. Rows that refer to missing rows are common in old files and no reason
 * to fail; only new ones are.
 */
import { DatabaseError } from '../errors.ts';
import type { Executor } from '../sql/engine.ts';
import { foreignKeyViolations, quickCheck } from './migration-procedures.ts';

/** Broken foreign keys by table and parent. */
export type Findings = ReadonlyMap<string, number>;

async function violations(connection: Executor): Promise<Findings> {
  const found = await connection.run(foreignKeyViolations, null);
  return new Map(found.map(({ key, rows }) => [key, rows]));
}

/**
 * Finds problems before any change.
 * @throws {DatabaseError} CATALOG_CORRUPT if the file is damaged, because a migration would make that worse
 */
export async function findingsBefore(connection: Executor): Promise<Findings> {
  const problems = await connection.run(quickCheck, null);
  if (problems.length > 0) throw new DatabaseError('CATALOG_CORRUPT', `the file is damaged: ${problems.join('; ')}`);
  return violations(connection);
}

/** @throws {DatabaseError} CATALOG_MIGRATION_FAILED if the file is now damaged or has new broken foreign keys */
export async function assertNoneAdded(connection: Executor, before: Findings): Promise<void> {
  const problems = await connection.run(quickCheck, null);
  const broken = [...(await violations(connection))].filter(([key, rows]) => rows > (before.get(key) ?? 0));
  const found = [...problems, ...broken.map(([key, rows]) => `${key}: ${rows} rows refer to missing rows`)];
  if (found.length === 0) return;
  throw new DatabaseError('CATALOG_MIGRATION_FAILED', `the migrated schema does not verify: ${found.join('; ')}`);
}
