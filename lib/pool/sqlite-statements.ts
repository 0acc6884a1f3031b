/**
 * Refuses statements that would end the surrounding transaction, reach another file or, from a user, change a setting.
 * SQLite itself would execute them.
 */
import { ValidationError } from '../errors.ts';
import { refuse } from '../validation.ts';

const ENGINE_OWNED = new Set([
  'BEGIN',
  'COMMIT',
  'END',
  'ROLLBACK',
  'SAVEPOINT',
  'RELEASE',
  'ATTACH',
  'DETACH',
  'VACUUM',
]);

/** The first keyword of a statement, past comments and white space. */
const firstKeyword = (text: string) =>
  text.replace(/^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/|;)*([a-z]*)[\s\S]*/i, '$1').toUpperCase();

/**
 * Checks a statement of a procedure.
 * @throws {ValidationError} for transaction control and statements that reach other files
 */
export function assertNoControl(text: string): void {
  const keyword = firstKeyword(text);
  if (!ENGINE_OWNED.has(keyword)) return;
  const accepted = 'one statement that reads or changes rows or schema; transactions are the engine’s';
  throw new ValidationError({ field: 'sql', received: keyword, accepted });
}

/** PRAGMAs that take an argument but only report. */
const REPORTS = new Set([
  'table_info',
  'table_xinfo',
  'table_list',
  'index_info',
  'index_xinfo',
  'index_list',
  'foreign_key_list',
  'foreign_key_check',
  'integrity_check',
  'quick_check',
]);

/** PRAGMAs that have an effect without an argument. */
const ACTIONS = new Set(['optimize', 'wal_checkpoint', 'incremental_vacuum', 'shrink_memory']);

const COMMENT = /--[^\n]*(?:\n|$)|\/\*[\s\S]*?(?:\*\/|$)/g;

/** EXPLAIN prepares its statement, and a PRAGMA takes effect when it is prepared. */
const EXPLAIN = /^EXPLAIN\s+(?:QUERY\s+PLAN\s+)?/i;

// Temporary objects stay on one connection until it is replaced, and hide objects of the same name from every later
// call.
const TEMPORARY = /^CREATE\s+(?:TEMP|TEMPORARY)\b|^CREATE\s[\w\s]*["'`[]?temp["'`\]]?\s*\./i;

/**
 * Checks a statement that a user wrote.
 * @throws {ValidationError} for transaction control, other files, temporary objects and PRAGMAs with effects
 */
export function assertUsersStatement(text: string): void {
  // Quotes do not matter: no statement has any before the words that decide here.
  const body = text
    .replace(COMMENT, ' ')
    .replace(/^[\s;]+/, '')
    .replace(EXPLAIN, '');
  const keyword = /^[a-z]*/i.exec(body)?.[0].toUpperCase() ?? '';
  if (ENGINE_OWNED.has(keyword)) refuse('sql', keyword, 'a statement that reads or changes rows (see db.transaction)');
  if (TEMPORARY.test(body)) refuse('sql', 'CREATE TEMP', 'tables, views and triggers of the database itself');
  if (keyword === 'PRAGMA') assertReport(body);
  assertPragmaTables(text);
}

function assertReport(body: string): void {
  const [, name = '', rest = ''] = /^PRAGMA\s+(?:\w+\s*\.\s*)?(\w+)([\s\S]*)$/i.exec(body) ?? [];
  const isBare = name !== '' && rest.replace(/[\s;]/g, '') === '';
  const reports = isBare ? !ACTIONS.has(name.toLowerCase()) : REPORTS.has(name.toLowerCase());
  if (!reports) refuse('sql', `PRAGMA ${name}`, 'a PRAGMA that only reads, its name without quotes');
}

const PIECE = /"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|'(?:[^']|'')*'|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g;

/** PRAGMAs can also be read as tables, with the name in any quotes. Their effects then happen on any connection. */
function assertPragmaTables(text: string): void {
  if (!/pragma_/i.test(text)) return;
  // Comments and string literals are not names, except a literal where SQLite expects a name.
  const names = text.replace(PIECE, (piece) => (/^["`[]|^'pragma_\w+'$/i.test(piece) ? piece : ' '));
  const found = [...names.matchAll(/\bpragma_(\w+)/gi)].find(([, name = '']) => ACTIONS.has(name.toLowerCase()));
  if (found !== undefined) refuse('sql', found[0], 'the tables of read-only PRAGMAs');
}
