/**
 * Finds the statements of a migration that can lose data by parsing them: comments, strings and quoted names do not
 * count. A migration declares its intended losses.
 */
import { DangerousOperationError } from '../errors.ts';
import {
  bodyStatements,
  isMark,
  isWord,
  nameOf,
  parenthesisDepths,
  splitStatements,
  type Token,
  tokensOf,
} from './sql-tokens.ts';

/** The kinds of statement that need a declaration. */
export type DangerousOperation =
  | 'DROP TABLE'
  | 'DROP COLUMN'
  | 'DELETE without WHERE'
  | 'UPDATE without WHERE'
  | 'PRAGMA writable_schema';

/** A statement that can lose data. */
export interface DangerousStatement {
  readonly operation: DangerousOperation;
  readonly statement: string;
}

const CHANGES = ['DELETE', 'UPDATE', 'INSERT', 'REPLACE', 'SELECT', 'VALUES'] as const;

/** The statement after EXPLAIN and WITH, and its part outside parentheses. */
function mainPart(tokens: readonly Token[]): Token[] {
  const depths = parenthesisDepths(tokens);
  const outside = tokens.filter((_, position) => depths[position] === 0);
  if (isWord(outside[0], 'EXPLAIN')) return outside.slice(outside.findIndex((token) => isWord(token, ...CHANGES)));
  if (!isWord(outside[0], 'WITH')) return outside;
  return outside.slice(outside.findIndex((token) => isWord(token, ...CHANGES)));
}

function dropsColumn(main: readonly Token[]): boolean {
  if (!isWord(main[0], 'ALTER') || !isWord(main[1], 'TABLE')) return false;
  const afterName = isMark(main[3], '.') ? 5 : 3;
  return isWord(main[afterName], 'DROP');
}

function setsWritableSchema(main: readonly Token[]): boolean {
  if (!isWord(main[0], 'PRAGMA')) return false;
  return nameOf(isMark(main[2], '.') ? main[3] : main[1]) === 'writable_schema';
}

const lacksWhere = (main: readonly Token[]) => !main.some((token) => isWord(token, 'WHERE'));

function operationOf(tokens: readonly Token[]): DangerousOperation | undefined {
  const main = mainPart(tokens);
  if (isWord(main[0], 'DROP') && isWord(main[1], 'TABLE')) return 'DROP TABLE';
  if (dropsColumn(main)) return 'DROP COLUMN';
  if (isWord(main[0], 'DELETE') && lacksWhere(main)) return 'DELETE without WHERE';
  if (isWord(main[0], 'UPDATE') && lacksWhere(main)) return 'UPDATE without WHERE';
  return setsWritableSchema(main) ? 'PRAGMA writable_schema' : undefined;
}

const textOf = (sql: string, tokens: readonly Token[]) => sql.slice(tokens[0]?.start, tokens.at(-1)?.end);

/** Every statement of the text that can lose data, including those in trigger bodies. */
export function findDangerousOperations(sql: string): DangerousStatement[] {
  const statements = splitStatements(tokensOf(sql)).flatMap((statement) => [statement, ...bodyStatements(statement)]);
  return statements.flatMap((tokens) => {
    const operation = operationOf(tokens);
    return operation === undefined ? [] : [{ operation, statement: textOf(sql, tokens) }];
  });
}

/** @throws {DangerousOperationError} for the first undeclared operation */
export function assertDeclared(migration: string, sql: string, declared: readonly DangerousOperation[] = []): void {
  const found = findDangerousOperations(sql).find(({ operation }) => !declared.includes(operation));
  if (found !== undefined) throw new DangerousOperationError({ migration, ...found });
}
