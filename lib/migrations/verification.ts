/** Checks whether a file's journal and schema match this release, and reports its adoption. */

import { readReports } from '../legacy/adoption/quarantine.ts';
import { journalProblems } from '../schema/journal-check.ts';
import { objectsAfter, type SchemaObjects } from '../schema/schema-objects.ts';
import type { CallOptions, Executor } from '../sql/engine.ts';
import { one, procedure, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import { KNOWN, statusOf } from './journal.ts';
import { MIGRATIONS } from './migration-list.ts';
import { storedObjects } from './migration-procedures.ts';
import { schemaState } from './schema-state.ts';

/** The report on the adoption of an old server's file. */
export interface AdoptionReport {
  readonly adoptedAt: string;
  /** The time zone assumed for dates without one. */
  readonly timeZone: string;
  /** Counts of affected rows, by kind. */
  readonly counts: Readonly<Record<string, number>>;
}

/** The result of a verification. */
export interface SchemaVerdict {
  readonly ok: boolean;
  readonly problems: string[];
  /** The adoptions of the file, oldest first. */
  readonly adoptions: AdoptionReport[];
}

export const adoptionReports = procedure('migrations.adoptions', 'read', function* (_: null): Steps<AdoptionReport[]> {
  const exists = yield* one(sql`SELECT 1 AS "found" FROM sqlite_schema WHERE name = 'catalog_reports'`);
  if (exists === undefined) return [];
  const reports = yield* readReports('adoption');
  return reports.map(({ createdAt, report }) => {
    const { timeZone, counts } = JSON.parse(report);
    return { adoptedAt: createdAt, timeZone, counts };
  });
});

type Stored = readonly { readonly kind: string; readonly name: string; readonly columns: string | null }[];

function missingFrom(stored: Stored, expected: SchemaObjects): string[] {
  const columnsOf = new Map(
    stored
      .filter(({ kind }) => kind === 'table')
      .map(({ name, columns }) => [name, new Set((columns ?? '').split('\n'))]),
  );
  const names = (kind: string) => new Set(stored.filter((object) => object.kind === kind).map(({ name }) => name));
  const [indexes, triggers] = [names('index'), names('trigger')];
  const tables = [...expected.tables].flatMap(([table, columns]) => {
    const found = columnsOf.get(table);
    if (found === undefined) return [`the table ${table} is missing`];
    return [...columns].filter((column) => !found.has(column)).map((column) => `${table} lacks the column ${column}`);
  });
  return [
    ...tables,
    ...[...expected.indexes].filter((name) => !indexes.has(name)).map((name) => `the index ${name} is missing`),
    ...[...expected.triggers].filter((name) => !triggers.has(name)).map((name) => `the trigger ${name} is missing`),
  ];
}

/** Compares the journal with the migrations, and the schema with the one that they create. */
export async function verifySchema(executor: Executor, options?: CallOptions): Promise<SchemaVerdict> {
  const { journal } = await executor.run(schemaState, null, options);
  const { current } = statusOf(journal);
  const expected = objectsAfter(MIGRATIONS.filter(({ version }) => version <= current));
  const stored = await executor.run(storedObjects, null, options);
  const problems = [...journalProblems(journal, KNOWN).map(({ message }) => message), ...missingFrom(stored, expected)];
  return { ok: problems.length === 0, problems, adoptions: await executor.run(adoptionReports, null, options) };
}
