/**
 * TypeScript as tokens, as far as mutations need it: marks, words and literals with their places. The code in the holes
 * of a template is a separate list, so that brackets match within each list.
 */

export interface Token {
  readonly kind: 'word' | 'number' | 'string' | 'template' | 'regex' | 'mark';
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** A template, or an ordinary string, whose text may be SQL. */
export interface Text {
  /** After the opening quote. */
  readonly start: number;
  /** Before the closing quote. */
  readonly end: number;
  /** The source between the quotes, of the same length, with a filler instead of each hole. */
  readonly masked: string;
  readonly isTemplate: boolean;
}

export interface Tokens {
  readonly lists: readonly (readonly Token[])[];
  readonly texts: readonly Text[];
}

/** Replaces each character of a hole in a masked text. */
export const FILLER = '\u00a4';

const BLANK = /(?:\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)+/y;
const STRING = /'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*"/y;
const NUMBER = /0[xob][\da-f_]+n?|\d[\d_]*(?:\.\d[\d_]*)?(?:e[+-]?\d+)?n?/iy;
const WORD = /#?[\p{ID_Start}$_][\p{ID_Continue}$]*/uy;
const REGEX = /\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const MARK = /=>|\.{3}|[!=]==|\*\*=?|&&=?|\|\|=?|\?\?=?|\?\.|[<>=!+\-*/%&|^]=|\+\+|--|[{}()[\];,<>+\-*/%&|^!~?:=.@#]/y;

// After these a slash begins a regular expression.
const BEFORE_EXPRESSION = new Set(['return', 'typeof', 'case', 'in', 'of', 'yield', 'await', 'void', 'throw']);

const endsValue = ({ kind, text }: Token): boolean =>
  kind === 'mark' ? [')', ']', '}'].includes(text) : !BEFORE_EXPRESSION.has(text);

const KINDS: readonly (readonly [Token['kind'], RegExp])[] = [
  ['string', STRING],
  ['number', NUMBER],
  ['word', WORD],
  ['mark', MARK],
];

class Scanner {
  readonly lists: Token[][] = [];
  readonly texts: Text[] = [];
  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  /** Reads a list of tokens, to the end of the source or to the bracket that closes a hole. */
  readList(start: number): number {
    const list: Token[] = [];
    this.lists.push(list);
    let depth = 0;
    for (let at = this.#skipBlank(start); at < this.#source.length; at = this.#skipBlank(at)) {
      const char = this.#source[at];
      if (char === '}' && depth === 0) return at;
      if (char === '{') depth += 1;
      if (char === '}') depth -= 1;
      const token = char === '`' ? this.#readTemplate(at) : this.#readToken(at, list.at(-1));
      list.push(token);
      at = token.end;
    }
    return this.#source.length;
  }

  #match(pattern: RegExp, at: number): string | undefined {
    pattern.lastIndex = at;
    return pattern.exec(this.#source)?.[0];
  }

  #skipBlank(at: number): number {
    return at + (this.#match(BLANK, at)?.length ?? 0);
  }

  #readToken(start: number, previous: Token | undefined): Token {
    const isRegex = this.#source[start] === '/' && (previous === undefined || !endsValue(previous));
    const kinds = isRegex ? [['regex', REGEX] as const, ...KINDS] : KINDS;
    for (const [kind, pattern] of kinds) {
      const text = this.#match(pattern, start);
      if (text === undefined) continue;
      const end = start + text.length;
      if (kind === 'string') {
        this.texts.push({ start: start + 1, end: end - 1, masked: text.slice(1, -1), isTemplate: false });
      }
      return { kind, text, start, end };
    }
    throw new Error(`no token begins with ${JSON.stringify(this.#source.slice(start, start + 20))}`);
  }

  #readTemplate(start: number): Token {
    let masked = '';
    let at = start + 1;
    while (this.#source[at] !== '`') {
      if (at >= this.#source.length) throw new Error('a template has no end');
      const opens = this.#source.startsWith('${', at);
      const end = opens ? this.readList(at + 2) + 1 : at + (this.#source[at] === '\\' ? 2 : 1);
      masked += opens ? FILLER.repeat(end - at) : this.#source.slice(at, end);
      at = end;
    }
    this.texts.push({ start: start + 1, end: at, masked, isTemplate: true });
    return { kind: 'template', text: this.#source.slice(start, at + 1), start, end: at + 1 };
  }
}

/** @throws for a source that is not TypeScript as this project writes it */
export function tokensOf(source: string): Tokens {
  const scanner = new Scanner(source);
  scanner.readList(0);
  return { lists: scanner.lists, texts: scanner.texts };
}
