/** The mutants of a room: every change that makes a different program. */
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { codeEdits } from './code-edits.ts';
import { applyEdit, type Edit } from './edit.ts';
import { sqlEdits } from './sql-edits.ts';
import { tokensOf } from './tokens.ts';

/** One change of one file. */
export interface Mutant {
  readonly file: string;
  /** Counts from 1. */
  readonly line: number;
  readonly operator: string;
  /** The lines that differ, without their context. */
  readonly before: string;
  readonly after: string;
  /** The whole file with the change. */
  readonly source: string;
}

/** A change without an observable effect, and why. */
export interface Equivalent {
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly reason: string;
}

/** Every edit of a source, by place; if two make the same source, one of them. */
export function editsOf(source: string): Edit[] {
  const { lists, texts } = tokensOf(source);
  const edits = [...lists.flatMap((tokens) => codeEdits(source, tokens)), ...texts.flatMap(sqlEdits)];
  const known = new Map(edits.map((edit) => [`${edit.start} ${edit.end} ${edit.text}`, edit]));
  return [...known.values()].sort((a, b) => a.start - b.start || a.end - b.end);
}

/** The part of a source that runs; undefined if it cannot be parsed. */
function runnable(source: string): string | undefined {
  try {
    return stripTypeScriptTypes(source);
  } catch {
    return undefined;
  }
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

/** The mutant of an edit; undefined if it cannot be parsed or changes only types and comments. */
export function mutantOf(file: string, source: string, edit: Edit, original = runnable(source)): Mutant | undefined {
  const mutated = applyEdit(source, edit);
  const changed = runnable(mutated);
  if (changed === undefined || oneLine(original ?? '') === oneLine(changed)) return undefined;
  const start = source.lastIndexOf('\n', edit.start - 1) + 1;
  const lineEnd = source.indexOf('\n', edit.end);
  const end = lineEnd === -1 ? source.length : lineEnd;
  return {
    file,
    line: source.slice(0, edit.start).split('\n').length,
    operator: edit.operator,
    before: oneLine(source.slice(start, end)),
    after: oneLine(mutated.slice(start, end + mutated.length - source.length)),
    source: mutated,
  };
}

/** Whether a mutant is listed as equivalent. */
export const isEquivalent = (mutant: Mutant, equivalents: readonly Equivalent[]): boolean =>
  equivalents.some(
    ({ file, before, after }) => file === mutant.file && before === mutant.before && after === mutant.after,
  );

/** Every mutant of some files. */
export function mutantsOf(root: string, files: readonly string[]): Mutant[] {
  return files.flatMap((file) => {
    const source = readFileSync(join(root, file), 'utf8');
    const original = runnable(source);
    return editsOf(source)
      .map((edit) => mutantOf(file, source, edit, original))
      .filter((mutant) => mutant !== undefined);
  });
}

/** A random number from 0 to 1, by a seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** This many of the items, by a seed, in their order; all of them if there are no more. */
export function sampleOf<Item>(items: readonly Item[], count: number, seed: number): Item[] {
  const next = random(seed);
  const drawn = items.map((item, place) => ({ item, place, key: next() })).sort((a, b) => a.key - b.key);
  return drawn
    .slice(0, count)
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
