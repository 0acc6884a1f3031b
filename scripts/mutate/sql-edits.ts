/** The mutations of SQL in templates and strings. A filler of equal length replaces each hole: places match the source. */
import type { Edit } from './edit.ts';
import { FILLER, type Text } from './tokens.ts';

const BEGINS = /^\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|DROP|CASE|EXISTS|coalesce|\(?[vfcrqod]\.[A-Z])/;
const SPEAKS = /\b(?:SELECT|FROM|WHERE|AND|ORDER BY|UPDATE|INSERT INTO|LIMIT|IS NULL)\b|^\w+\.?\w* [=<>]+ \u00a4/;

/** Whether a text is a statement or a part of one. */
const isSql = ({ masked, isTemplate }: Text): boolean =>
  BEGINS.test(masked) || (isTemplate && SPEAKS.test(masked) && !/[a-z] the |[.!]$/.test(masked));

const WORDS: readonly (readonly [operator: string, pattern: RegExp, text: string])[] = [
  ['sql comparison', /(?<= )<=(?= )/g, '<'],
  ['sql comparison', /(?<= )<(?= )/g, '<='],
  ['sql comparison', /(?<= )>=(?= )/g, '>'],
  ['sql comparison', /(?<= )>(?= )/g, '>='],
  ['sql comparison', /(?<= )<>(?= )/g, '='],
  ['sql logic', /\bOR\b(?! (?:IGNORE|REPLACE|ABORT|FAIL|ROLLBACK))/g, 'AND'],
  ['sql null', /\bIS NOT NULL\b/g, 'IS NULL'],
  ['sql null', /\bIS NULL\b/g, 'IS NOT NULL'],
  ['sql exists', /\bNOT EXISTS\b/g, 'EXISTS'],
  ['sql exists', /(?<!NOT )\bEXISTS\b(?= \()/g, 'NOT EXISTS'],
  ['sql direction', /\bDESC\b/g, 'ASC'],
  ['sql join', /\bLEFT JOIN\b/g, 'JOIN'],
  ['sql distinct', /\bDISTINCT /g, ''],
  ['sql union', /\bUNION ALL\b/g, 'UNION'],
  ['sql union', /\bUNION\b(?! ALL)/g, 'UNION ALL'],
  ['sql conflict', /\bOR (?:IGNORE|REPLACE)\b ?/g, ''],
  ['sql function', /\bmax\(/g, 'min('],
  ['sql function', /\bmin\(/g, 'max('],
  ['sql arithmetic', /(?<= )\+(?= )/g, '-'],
  ['sql arithmetic', /(?<= )-(?= )/g, '+'],
  ['sql order', / ORDER BY (?:[^()]|\([^()]*\))*?(?= LIMIT|\)|$)/g, ''],
  ['sql limit', / LIMIT [^ )]+/g, ''],
];

const wordEdits = ({ masked, start }: Text): Edit[] =>
  WORDS.flatMap(([operator, pattern, text]) =>
    [...masked.matchAll(pattern)].map((found) => ({
      operator,
      start: start + found.index,
      end: start + found.index + found[0].length,
      text,
    })),
  );

/** Whether the words before a place belong to a condition, not to values that are set. */
function isInCondition(before: string): boolean {
  const words = [...before.matchAll(/\b(?:SET|WHERE|ON|AND|OR|WHEN|HAVING|SELECT|THEN|ELSE|VALUES)\b/g)];
  return words.at(-1)?.[0] !== 'SET' && words.at(-1)?.[0] !== 'VALUES';
}

const equalityEdits = ({ masked, start }: Text): Edit[] =>
  [...masked.matchAll(/ = /g)]
    .filter(({ index }) => isInCondition(masked.slice(0, index)))
    .map(({ index }) => ({ operator: 'sql comparison', start: start + index + 1, end: start + index + 2, text: '<>' }));

const constantEdits = ({ masked, start }: Text): Edit[] =>
  [...masked.matchAll(/(?<=[ (])[012](?=[ ,)]|$)/g)]
    .filter(({ index }) => !masked.slice(0, index).endsWith('SELECT '))
    .map(({ index, 0: found }) => ({
      operator: 'sql constant',
      start: start + index,
      end: start + index + 1,
      text: found === '1' ? '0' : String(Number(found) + 1),
    }));

const ENDS_TERM = /^\s+(?:AND|OR|ORDER BY|GROUP BY|LIMIT|RETURNING|UNION|WHERE|BEGIN|THEN|LEFT|JOIN|HAVING)\b/;

/** Where the term of a condition ends: at the next keyword of the statement, outside brackets. */
function endOfTerm(masked: string, from: number): number {
  let depth = 0;
  for (let at = from; at < masked.length; at += 1) {
    if (masked[at] === '(') depth += 1;
    if (masked[at] === ')') depth -= 1;
    if (depth < 0 || (depth === 0 && ENDS_TERM.test(masked.slice(at, at + 20)))) return at;
  }
  return masked.length;
}

/** Replaces each term of a condition by one that is always true. */
const termEdits = ({ masked, start }: Text): Edit[] =>
  [...masked.matchAll(/\b(?:WHERE|AND)\s+/g)]
    .filter(({ index }) => !/BETWEEN [^ ]+ $/.test(masked.slice(0, index)))
    .map(({ index, 0: word }) => ({ from: index + word.length, end: endOfTerm(masked, index + word.length) }))
    .filter(({ from, end }) => end > from && masked.slice(from, end).replaceAll(FILLER, '').trim() !== '1 = 1')
    .map(({ from, end }) => ({ operator: 'sql term', start: start + from, end: start + end, text: '1' }));

/** Every mutation of a text that is SQL. */
export const sqlEdits = (text: Text): Edit[] =>
  isSql(text) ? [...wordEdits(text), ...equalityEdits(text), ...constantEdits(text), ...termEdits(text)] : [];
