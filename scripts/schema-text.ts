/** The schema that all migrations together create, as text: the content of docs/schema.sql. */
import Database from 'better-sqlite3';
import type { Migration } from '../lib/schema/migration.ts';

/** Runs the migrations in memory and lists what they create, sorted by table. */
export function schemaText(migrations: readonly Migration[]): string {
  const database = new Database(':memory:');
  try {
    for (const statement of migrations.flatMap(({ up }) => up)) database.exec(statement);
    return listSchema(database, migrations.length - 1);
  } finally {
    database.close();
  }
}

/** A database's schema, except what SQLite and full-text search create themselves, and what adoption may keep. */
export function listSchema(database: Database.Database, version: number): string {
  const found = database
    .prepare(`SELECT sql FROM sqlite_schema m WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*'
      AND name NOT IN (SELECT name FROM pragma_table_list WHERE type = 'shadow')
      AND name <> 'catalog_migrations'
      ORDER BY tbl_name, CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END, name`)
    .pluck()
    .all() as string[];
  const lines = found.map((statement) => `${statement.replaceAll(/^ {4,}/gm, '  ').trim()};`);
  return `-- The schema of version ${version}. Written by \`npm run schema:dump\`; compared by the tests.\n\n${lines.join('\n\n')}\n`;
}
