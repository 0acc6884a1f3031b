/**
 * Reads SQLite's SQL as tokens: comments are dropped, strings and quoted names are distinguished from keywords, and
 * statements are split where SQLite splits them, also in trigger bodies. It knows the lexical rules of
 * https://sqlite.org/lang_keywords.html and https://sqlite.org/lang_comment.html, but no grammar.
 */

/** A word may be a keyword or a name; a name was quoted and is never a keyword. */
type TokenKind = 'word' | 'name' | 'string' | 'number' | 'mark';

export interface Token {
  readonly kind: TokenKind;
  /** A word in upper case, a name or string without its quotes, anything else as written. */
  readonly text: string;
  /** Its offset in the source. */
  readonly start: number;
  readonly end: number;
}

const TOKEN =
  /(?<space>\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<blob>[xX]'[^']*'?)|(?<string>'(?:[^']|'')*'?)|(?<name>"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?)|(?<number>\.?\d[\w.]*)|(?<word>[\p{L}_\u0080-\uffff][\p{L}\p{N}_$\u0080-\uffff]*)|(?<mark>\|\||<<|>>|<=|>=|<>|!=|==|->>|->|[\s\S])/uy;

const unquoted = (quoted: string): string => {
  const quote = quoted[0] ?? '';
  const closing = quote === '[' ? ']' : quote;
  const body = quoted.length > 1 && quoted.endsWith(closing) ? quoted.slice(1, -1) : quoted.slice(1);
  return quote === '[' ? body : body.replaceAll(quote + quote, quote);
};

function tokenOf(groups: Readonly<Record<string, string | undefined>>, start: number, end: number): Token | undefined {
  const { blob, string, name, number, word, mark } = groups;
  const token = (kind: TokenKind, text: string): Token => ({ kind, text, start, end });
  if (word !== undefined) return token('word', word.toUpperCase());
  if (name !== undefined) return token('name', unquoted(name));
  if (string !== undefined) return token('string', unquoted(string));
  if (blob !== undefined) return token('string', blob);
  if (number !== undefined) return token('number', number);
  return mark === undefined ? undefined : token('mark', mark);
}

/** The tokens of a text, without white space and comments. */
export function tokensOf(sql: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < sql.length) {
    const start = TOKEN.lastIndex;
    const token = tokenOf(TOKEN.exec(sql)?.groups ?? {}, start, TOKEN.lastIndex);
    if (token !== undefined) tokens.push(token);
  }
  return tokens;
}

/** Whether a token is this keyword; a quoted name never is. */
export const isWord = (token: Token | undefined, ...words: readonly string[]): boolean =>
  token?.kind === 'word' && words.includes(token.text);

/** Whether a token is this mark. */
export const isMark = (token: Token | undefined, mark: string): boolean =>
  token?.kind === 'mark' && token.text === mark;

/** The name of a token in lower case, because SQLite ignores case; undefined if it is not a name. */
export const nameOf = (token: Token | undefined): string | undefined =>
  token === undefined || token.kind === 'number' || token.kind === 'mark' ? undefined : token.text.toLowerCase();

/** The index of a trigger's body, after BEGIN; -1 for any other statement. */
function triggerBody(tokens: readonly Token[]): number {
  const kind = isWord(tokens[1], 'TEMP', 'TEMPORARY') ? tokens[2] : tokens[1];
  if (!isWord(tokens[0], 'CREATE') || !isWord(kind, 'TRIGGER')) return -1;
  const begin = tokens.findIndex((token) => isWord(token, 'BEGIN'));
  return begin === -1 ? -1 : begin + 1;
}

/** How many blocks a token opens or closes inside the body of a trigger. */
const blockDepth = (token: Token): number => (isWord(token, 'CASE') ? 1 : isWord(token, 'END') ? -1 : 0);

/** Whether the statement needs only its semicolon: all do, except triggers with open blocks. */
function isWhole(statement: readonly Token[]): boolean {
  const begin = triggerBody(statement);
  if (begin === -1) return true;
  return statement.slice(begin).reduce((depth, token) => depth + blockDepth(token), 1) === 0;
}

/** Splits tokens at semicolons; a trigger with its body is one statement. */
export function splitStatements(tokens: readonly Token[]): Token[][] {
  const statements: Token[][] = [[]];
  for (const token of tokens) {
    const current = statements.at(-1) ?? [];
    if (isMark(token, ';') && isWhole(current)) statements.push([]);
    else current.push(token);
  }
  return statements.filter((statement) => statement.length > 0);
}

/** The statements inside a trigger's body. */
export function bodyStatements(trigger: readonly Token[]): Token[][] {
  const begin = triggerBody(trigger);
  if (begin === -1) return [];
  const end = isWord(trigger.at(-1), 'END') ? -1 : trigger.length;
  const bodies: Token[][] = [[]];
  for (const token of trigger.slice(begin, end)) {
    if (isMark(token, ';')) bodies.push([]);
    else bodies.at(-1)?.push(token);
  }
  return bodies.filter((body) => body.length > 0);
}

/** The nesting depth of each token in parentheses; the parentheses themselves count as outside. */
export function parenthesisDepths(tokens: readonly Token[]): number[] {
  let depth = 0;
  return tokens.map((token) => {
    if (isMark(token, ')')) depth -= 1;
    const here = depth;
    if (isMark(token, '(')) depth += 1;
    return here;
  });
}
