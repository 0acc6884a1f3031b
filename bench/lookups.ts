/**
 * `db.files.get` and `db.files.find` with many callers, against a loop by hand on the main thread: the same statement,
 * prepared, for the same ids, mapped to the same object. And how long a single caller waits.
 */
import { deepStrictEqual } from 'node:assert/strict';
import type Database from 'better-sqlite3';
import { type FileIdentity, findFile, getFile } from '../lib/core/file-procedures.ts';
import { type CatalogFile, type FileRow, toFile } from '../lib/core/file-rows.ts';
import type { DatabaseManager } from '../lib/index.ts';
import { sqliteDialect } from '../lib/pool/sqlite-dialect.ts';
import type { Steps } from '../lib/sql/procedure.ts';
import type { BenchSizes } from './arguments.ts';
import type { StoredCatalogue, Workplace } from './catalogue.ts';
import { openByHand, prepare } from './hand-written.ts';
import { callers, type LoopFigures, takeTurns, timed, watchLoop, withLatency } from './measure.ts';
import { type Figure, figure, loopLines } from './report.ts';
import { sampleFile } from './sample-files.ts';
import { quantile, ratios } from './statistics.ts';

const MANY_CALLERS = 256;
const LEAST_TIMES_LOOP = 1;
const MOST_SINGLE_US = 100;
const SINGLE_SHARE = 10; // one caller makes a tenth of the calls
const STRIDE = 7919; // prime: neighbouring calls look at distant files
const US_PER_MS = 1_000;

/** One kind of lookup. */
interface Lookup<Key> {
  readonly name: string;
  readonly keys: readonly Key[];
  readonly library: (key: Key) => Promise<CatalogFile | null>;
}

/** A lookup and the loop by hand that does the same. */
type Contest<Key> = Lookup<Key> & { readonly byHand: (key: Key) => CatalogFile | null };

/** The first statement of a procedure. */
function statementOf(steps: Steps<unknown>): { readonly text: string; readonly mode: 'row' } {
  const { value, done } = steps.next();
  if (done || value.mode !== 'row') throw new Error('a lookup was expected to be one statement for one tuple');
  return { text: sqliteDialect.text(value.sql), mode: value.mode };
}

const fileOf = (found: unknown): CatalogFile | null => (found === undefined ? null : toFile(found as FileRow));

const lookupById = (db: DatabaseManager, ids: readonly string[]): Lookup<string> => ({
  name: 'get',
  keys: ids,
  library: (id) => db.files.get(id),
});

const lookupByName = (db: DatabaseManager, keys: readonly FileIdentity[]): Lookup<FileIdentity> => ({
  name: 'find',
  keys,
  library: ({ clientId, fileName, originalPath }) => db.files.find(clientId, fileName, originalPath),
});

function getByHand(file: Database.Database, id: string): (id: string) => CatalogFile | null {
  const statement = prepare(file, statementOf(getFile.steps(id, sqliteDialect)));
  return (key) => fileOf(statement.get(Buffer.from(key, 'hex')));
}

/** Binds an identity's values in the order of the recorded statement. */
function findByHand(file: Database.Database, identity: FileIdentity): (key: FileIdentity) => CatalogFile | null {
  const statement = prepare(file, statementOf(findFile.steps(identity, sqliteDialect)));
  return ({ clientId, fileName, originalPath }) =>
    fileOf(statement.get(Buffer.from(clientId, 'hex'), fileName, originalPath ?? ''));
}

/** @throws when the two ways do not return the same file */
async function assertSameAnswers<Key>({ keys, library, byHand }: Contest<Key>): Promise<void> {
  for (const key of keys.slice(0, 100)) {
    const found = await library(key);
    if (found === null) throw new Error('a lookup of a file that exists found nothing');
    deepStrictEqual(byHand(key), found);
  }
}

/** The rounds of the library. */
function libraryRounds<Key>({ keys, library }: Lookup<Key>, { callers: count }: BenchSizes) {
  const many = async (callersBeside: number) => {
    let us = 0;
    const loop = await watchLoop(async () => {
      us = await timed(keys.length, () => callers(callersBeside, keys, library));
    });
    return { us, ...loop };
  };
  return {
    callers: () => many(count),
    manyCallers: () => many(MANY_CALLERS),
    single: async () => {
      const { call, milliseconds } = withLatency(library);
      await callers(1, keys.slice(0, Math.ceil(keys.length / SINGLE_SHARE)), call);
      return { p50: quantile(milliseconds, 0.5) * US_PER_MS, p99: quantile(milliseconds, 0.99) * US_PER_MS };
    },
  };
}

interface LibraryFigures {
  readonly callers: Readonly<Record<'us' | keyof LoopFigures, readonly number[]>>;
  readonly manyCallers: Readonly<Record<'us', readonly number[]>>;
  readonly single: Readonly<Record<'p50' | 'p99', readonly number[]>>;
}

const lineOf =
  (name: string) =>
  (what: string, unit: string, values: readonly number[], target: Figure['target'] = null): Figure =>
    figure('lookups', `${name}, ${what}`, unit, values, target);

function libraryLines(name: string, { callers: count }: BenchSizes, figures: LibraryFigures): Figure[] {
  const line = lineOf(name);
  return [
    line(`${count} callers, each`, 'us', figures.callers.us),
    line(`${MANY_CALLERS} callers, each`, 'us', figures.manyCallers.us),
    line('one caller, p50', 'us', figures.single.p50, { most: MOST_SINGLE_US }),
    line('one caller, p99', 'us', figures.single.p99),
    ...loopLines('lookups', `${name}, ${count} callers`, figures.callers),
  ];
}

async function alone<Key>(lookup: Lookup<Key>, sizes: BenchSizes): Promise<Figure[]> {
  const found = await Promise.all(lookup.keys.slice(0, 100).map(lookup.library));
  if (found.includes(null)) throw new Error('a lookup of a file that exists found nothing');
  const { figures } = await takeTurns(libraryRounds(lookup, sizes), sizes);
  return libraryLines(lookup.name, sizes, figures);
}

async function againstLoop<Key>(contest: Contest<Key>, sizes: BenchSizes): Promise<Figure[]> {
  const { name, keys, byHand } = contest;
  await assertSameAnswers(contest);
  const { figures } = await takeTurns(
    {
      ...libraryRounds(contest, sizes),
      loop: async () => ({ us: await timed(keys.length, () => keys.forEach(byHand)) }),
    },
    sizes,
  );
  const { us: loop } = figures.loop;
  const line = lineOf(name);
  const atLeast = { least: LEAST_TIMES_LOOP };
  return [
    ...libraryLines(name, sizes, figures),
    line('prepared loop on the main thread, each', 'us', loop),
    line(`times as fast as the loop, ${sizes.callers} callers`, 'x', ratios(loop, figures.callers.us), atLeast),
    line(`times as fast as the loop, ${MANY_CALLERS} callers`, 'x', ratios(loop, figures.manyCallers.us), atLeast),
  ];
}

/** The identities of files all over the catalogue. */
const identities = (calls: number, files: number, clientIds: readonly string[]): FileIdentity[] =>
  Array.from({ length: calls }, (_, call) => {
    const { clientId, fileName, originalPath } = sampleFile((call * STRIDE) % files, clientIds);
    return { clientId: String(clientId), fileName, originalPath: originalPath ?? null };
  });

/** Ids all over the catalogue; read by hand, so that the run does not wait for a list of every file. */
function scatteredIds(path: string, calls: number): string[] {
  const file = openByHand(path);
  const ids = file.prepare<unknown[], string>('SELECT lower(hex(ID)) FROM files').pluck().all();
  file.close();
  return Array.from({ length: calls }, (_, call) => ids[(call * STRIDE) % ids.length] as string);
}

interface Prepared {
  readonly path: string;
  readonly ids: readonly string[];
  readonly names: readonly FileIdentity[];
}

async function prepareKeys(sizes: BenchSizes, workplace: Workplace): Promise<Prepared> {
  const catalogue: StoredCatalogue = await workplace.filled(sizes.files);
  const path = await workplace.copy(catalogue);
  const ids = scatteredIds(path, sizes.rows);
  return { path, ids, names: identities(sizes.rows, sizes.files, catalogue.clientIds) };
}

/** The library beside the hand-written loop. */
export async function lookups(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const { path, ids, names } = await prepareKeys(sizes, workplace);
  const db = await workplace.open(path);
  const file = openByHand(path);
  const byId = { ...lookupById(db, ids), byHand: getByHand(file, ids[0] as string) };
  const byName = { ...lookupByName(db, names), byHand: findByHand(file, names[0] as FileIdentity) };
  const figures = [...(await againstLoop(byId, sizes)), ...(await againstLoop(byName, sizes))];
  file.close();
  await db.close();
  await workplace.discard(path);
  return figures;
}

/** The library's own figures. */
export async function lookupsAlone(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const { path, ids, names } = await prepareKeys(sizes, workplace);
  const db = await workplace.open(path);
  const figures = [...(await alone(lookupById(db, ids), sizes)), ...(await alone(lookupByName(db, names), sizes))];
  await db.close();
  await workplace.discard(path);
  return figures;
}
