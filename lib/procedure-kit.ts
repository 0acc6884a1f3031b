/** What a module of own procedures needs: the entry point `backup-catalog/procedure`, light enough for every thread. */
export { default as sql, empty, join, raw } from 'sql-template-tag';
export * from './errors.ts';
export * from './sql/procedure.ts';
