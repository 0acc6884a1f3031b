/** What a module of own procedures needs: the entry point `backup-catalog/procedure`, light enough for every thread. */

export * from './errors.ts';
export type { Dialect } from './sql/dialect.ts';
export {
  all,
  type Intent,
  one,
  type Procedure,
  type ProcedureOptions,
  procedure,
  type RunResult,
  row,
  rows,
  run,
  type Step,
  type StepMode,
  type Steps,
  type Table,
  table,
} from './sql/procedure.ts';
export { empty, join, raw, type Sql, sql } from './sql/template.ts';
export { checkedIdBytes as idBytes, checkId, newId } from './values/ids.ts';
