/** The entry point `backup-catalog/procedure`: all that a module of procedures needs, light enough for every thread. */

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
