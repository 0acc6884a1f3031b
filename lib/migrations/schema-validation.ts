/**
 * Whether migrations left a file as sound as it was: rows that name a row which does not exist were often there before
 * and are no reason to fail; only new ones are.
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
 * What is amiss before anything is changed.
 * @throws {DatabaseError} CATALOG_CORRUPT when the file itself is damaged: a migration would make it worse
 */
export async function findingsBefore(connection: Executor): Promise<Findings> {
  const problems = await connection.run(quickCheck, null);
  if (problems.length > 0) throw new DatabaseError('CATALOG_CORRUPT', `the file is damaged: ${problems.join('; ')}`);
  return violations(connection);
}

/** @throws {DatabaseError} CATALOG_MIGRATION_FAILED when the file is damaged now, or a foreign key broke */
export async function assertNoneAdded(connection: Executor, before: Findings): Promise<void> {
  const problems = await connection.run(quickCheck, null);
  const broken = [...(await violations(connection))].filter(([key, rows]) => rows > (before.get(key) ?? 0));
  const found = [...problems, ...broken.map(([key, rows]) => `${key}: ${rows} rows name one that does not exist`)];
  if (found.length === 0) return;
  throw new DatabaseError('CATALOG_MIGRATION_FAILED', `the migrated schema does not verify: ${found.join('; ')}`);
}
