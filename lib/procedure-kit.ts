/** What a module of own procedures needs: the entry point `backup-catalog/procedure`, light enough for every thread. */

export * from './errors.ts';
export * from './sql/procedure.ts';
export { empty, join, raw, sql, unplanned } from './sql/template.ts';
