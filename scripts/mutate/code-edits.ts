/** The mutations of code: the faults that a typing error or a wrong idea would cause. */
import type { Edit } from './edit.ts';
import type { Token } from './tokens.ts';

/** A list of tokens, and where the partner of each bracket is. */
interface Code {
  readonly source: string;
  readonly tokens: readonly Token[];
  readonly partner: ReadonlyMap<number, number>;
}

type Operator = (code: Code, place: number) => Edit[];

const OPENERS: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };
const CLOSERS = new Set(Object.values(OPENERS));

function partners(tokens: readonly Token[]): Map<number, number> {
  const found = new Map<number, number>();
  const open: number[] = [];
  for (const [place, { kind, text }] of tokens.entries()) {
    if (kind !== 'mark') continue;
    if (OPENERS[text] !== undefined) open.push(place);
    if (!CLOSERS.has(text)) continue;
    const opener = open.pop();
    if (opener === undefined) continue;
    found.set(opener, place);
    found.set(place, opener);
  }
  return found;
}

const textAt = ({ tokens }: Code, place: number): string => tokens[place]?.text ?? '';

const replaced = (operator: string, { start, end }: Pick<Token, 'start' | 'end'>, text: string): Edit => ({
  operator,
  start,
  end,
  text,
});

const SWAPS: readonly (readonly [operator: string, swaps: Readonly<Record<string, string>>])[] = [
  ['comparison', { '<': '<=', '<=': '<', '>': '>=', '>=': '>', '===': '!==', '!==': '===' }],
  ['logic', { '&&': '||', '||': '&&' }],
  ['arithmetic', { '+': '-', '-': '+', '*': '/', '/': '*', '+=': '-=', '-=': '+=', '++': '--', '--': '++' }],
  ['boolean', { true: 'false', false: 'true' }],
  ['method', { min: 'max', max: 'min', some: 'every', every: 'some' }],
];

// The formatter puts blanks around every binary operator, and none around the brackets of types.
const isSpaced = (source: string, { start, end }: Token): boolean =>
  /\s/.test(source[start - 1] ?? '') && /\s/.test(source[end] ?? '');

const swap: Operator = (code, place) => {
  const token = code.tokens[place];
  if (token === undefined || token.kind === 'string' || token.kind === 'template') return [];
  const isFree = ['++', '--'].includes(token.text) || isSpaced(code.source, token);
  return SWAPS.flatMap(([operator, swaps]) => {
    const text = Object.hasOwn(swaps, token.text) ? swaps[token.text] : undefined;
    if (text === undefined) return [];
    if (operator === 'method' && textAt(code, place - 1) !== '.') return [];
    if (token.kind === 'mark' && !isFree) return [];
    return [replaced(operator, token, text)];
  });
};

const negation: Operator = (code, place) => {
  const token = code.tokens[place];
  return token?.text === '!' ? [replaced('negation', token, '')] : [];
};

// A greater one is the size of a batch or a page, or a limit with its own test.
const LARGEST = 2;

const constant: Operator = (code, place) => {
  const token = code.tokens[place];
  if (token?.kind !== 'number' || Number(token.text) > LARGEST || Number.isNaN(Number(token.text))) return [];
  return [replaced('constant', token, String(Number(token.text) === 1 ? 0 : Number(token.text) + 1))];
};

const condition: Operator = (code, place) => {
  const close = code.partner.get(place + 1);
  if (textAt(code, place) !== 'if' || close === undefined) return [];
  const inner = { start: code.tokens[place + 1]?.end ?? 0, end: code.tokens[close]?.start ?? 0 };
  return ['true', 'false'].map((text) => replaced('condition', inner, text));
};

const CHAIN = new Set(['.', '?.']);
const isOperand = ({ kind, text }: Token) => kind === 'word' || CHAIN.has(text);

/** Where the operand that ends before a place begins: a chain of words, calls and indices. */
function startOfOperand(code: Code, end: number): number {
  let first = end;
  for (let before = code.tokens[first - 1]; before !== undefined; before = code.tokens[first - 1]) {
    const opener = CLOSERS.has(before.text) ? code.partner.get(first - 1) : undefined;
    if (opener === undefined && !isOperand(before)) return first;
    first = opener ?? first - 1;
  }
  return first;
}

const JOINS = new Set(['===', '!==', '<', '>', '<=', '>=', '&&', '||', '!', '??']);

/** The choice between two values, negated if one plain value decides it. */
const choice: Operator = (code, place) => {
  const token = code.tokens[place];
  if (token?.text !== '?' || !isSpaced(code.source, token)) return [];
  const first = startOfOperand(code, place);
  const start = code.tokens[first]?.start ?? token.start;
  const end = code.tokens[place - 1]?.end ?? token.start;
  if (first === place || JOINS.has(textAt(code, first - 1))) return [];
  return [replaced('choice', { start, end }, `!(${code.source.slice(start, end)})`)];
};

const ENDS_OPERAND = new Set([',', ';', ':', '?', '??', '||', '&&', ')', ']', '}']);

/** The place after an operand that begins there. */
function afterOperand(code: Code, start: number): number {
  let place = start;
  while (place < code.tokens.length && !ENDS_OPERAND.has(textAt(code, place))) {
    place = (OPENERS[textAt(code, place)] === undefined ? place : (code.partner.get(place) ?? place)) + 1;
  }
  return place;
}

const defaultValue: Operator = (code, place) => {
  const token = code.tokens[place];
  const last = code.tokens[afterOperand(code, place + 1) - 1];
  return token?.text === '??' && last !== undefined
    ? [{ operator: 'default', start: token.start, end: last.end, text: '' }]
    : [];
};

const DROPPED = new Set([
  'sort',
  'toSorted',
  'reverse',
  'toReversed',
  'filter',
  'trim',
  'normalize',
  'toLowerCase',
  'slice',
  'catch',
  'finally',
]);

/** A call in a chain that is left out. */
const chainCall: Operator = (code, place) => {
  const dot = code.tokens[place];
  const close = code.tokens[code.partner.get(place + 2) ?? -1];
  const isCall = dot?.text === '.' && DROPPED.has(textAt(code, place + 1)) && textAt(code, place + 2) === '(';
  return isCall && close !== undefined ? [{ operator: 'call', start: dot.start, end: close.end, text: '' }] : [];
};

const NO_STATEMENT = new Set(
  `const let var return throw if else for while do switch case default break continue import export type interface class
  function static readonly declare get set try catch finally constructor super abstract async enum`.split(/\s+/),
);

function beginsStatement(code: Code, place: number): boolean {
  const before = textAt(code, place - 1);
  if (['', ';', '{', '}', 'else'].includes(before)) return true;
  const opener = before === ')' ? code.partner.get(place - 1) : undefined;
  return opener !== undefined && ['if', 'for', 'while', 'await'].includes(textAt(code, opener - 1));
}

/** The place of the semicolon that ends the statement, if it is a plain expression. */
function endOfStatement(code: Code, start: number): number | undefined {
  let place = start;
  while (place < code.tokens.length) {
    const text = textAt(code, place);
    if (text === ';') return place;
    if (CLOSERS.has(text)) return undefined;
    const isBody = text === '{' && !['=', '??='].includes(textAt(code, place - 1));
    if (isBody) return undefined;
    place = (OPENERS[text] === undefined ? place : (code.partner.get(place) ?? place)) + 1;
  }
  return undefined;
}

/** A call, an assignment or an awaited call that is left out. */
const statement: Operator = (code, place) => {
  const token = code.tokens[place];
  if (token?.kind !== 'word' || NO_STATEMENT.has(token.text) || !beginsStatement(code, place)) return [];
  const end = endOfStatement(code, place);
  const last = end === undefined ? undefined : code.tokens[end];
  return last === undefined ? [] : [{ operator: 'statement', start: token.start, end: last.end, text: ';' }];
};

const OPERATORS: readonly Operator[] = [
  swap,
  negation,
  constant,
  condition,
  choice,
  defaultValue,
  chainCall,
  statement,
];

/** Every mutation of a list of tokens. */
export function codeEdits(source: string, tokens: readonly Token[]): Edit[] {
  const code = { source, tokens, partner: partners(tokens) };
  return tokens.flatMap((_, place) => OPERATORS.flatMap((operator) => operator(code, place)));
}
