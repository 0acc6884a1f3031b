/**
 * `db.files.get` and `db.files.find` with many callers, against a loop by hand on the main thread: the same statement,
 * prepared, for the same ids, mapped to the same object. And what a single caller waits.
 */
import { deepStrictEqual } from 'node:assert/strict';
import type Database from 'better-sqlite3';
import { type FileIdentity, findFile, getFile } from '../lib/core/file-procedures.ts';
import { type CatalogFile, type FileRow, toFile } from '../lib/core/file-rows.ts';
import type { DatabaseManager } from '../lib/index.ts';
import { sqliteDialect } from '../lib/pool/sqlite-dialect.ts';
import type { Steps } from '../lib/sql/procedure.ts';
import type { BenchSizes } from './arguments.ts';
import { openCatalogue, type Workplace } from './catalogue.ts';
import { openByHand, prepare } from './hand-written.ts';
import { callers, takeTurns, timed, watchLoop, withLatency } from './measure.ts';
import { type Figure, figure, loopLines } from './report.ts';
import { sampleFile } from './sample-files.ts';
import { quantile, ratios } from './statistics.ts';

const MANY_CALLERS = 256;
const LEAST_TIMES_LOOP = 1;
const MOST_SINGLE_US = 100;
const SINGLE_SHARE = 10; // one caller makes a tenth of the calls
const STRIDE = 7919; // prime: neighbouring calls look at distant files
const US_PER_MS = 1_000;

/** One kind of lookup, both ways. */
interface Lookup<Key> {
  readonly name: string;
  readonly keys: readonly Key[];
  readonly library: (key: Key) => Promise<CatalogFile | null>;
  readonly byHand: (key: Key) => CatalogFile | null;
}

/** The first statement of a procedure. */
function statementOf(steps: Steps<unknown>): { readonly text: string; readonly mode: 'row' } {
  const { value, done } = steps.next();
  if (done || value.mode !== 'row') throw new Error('a lookup was expected to be one statement for one tuple');
  return { text: sqliteDialect.text(value.sql), mode: value.mode };
}

const fileOf = (found: unknown): CatalogFile | null => (found === undefined ? null : toFile(found as FileRow));

function lookupById(db: DatabaseManager, file: Database.Database, ids: readonly string[]): Lookup<string> {
  const statement = prepare(file, statementOf(getFile.steps(ids[0] as string, sqliteDialect)));
  return {
    name: 'get',
    keys: ids,
    library: (id) => db.files.get(id),
    byHand: (id) => fileOf(statement.get(Buffer.from(id, 'hex'))),
  };
}

/** Runs the loop by hand for an identity: its values in the order the recorded statement binds them. */
function lookupByName(
  db: DatabaseManager,
  file: Database.Database,
  keys: readonly FileIdentity[],
): Lookup<FileIdentity> {
  const statement = prepare(file, statementOf(findFile.steps(keys[0] as FileIdentity, sqliteDialect)));
  return {
    name: 'find',
    keys,
    library: ({ clientId, fileName, originalPath }) => db.files.find(clientId, fileName, originalPath),
    byHand: ({ clientId, fileName, originalPath }) =>
      fileOf(statement.get(Buffer.from(clientId, 'hex'), fileName, originalPath ?? '')),
  };
}

/** @throws when the two ways do not return the same file */
async function assertSameAnswers<Key>({ keys, library, byHand }: Lookup<Key>): Promise<void> {
  for (const key of keys.slice(0, 100)) {
    const found = await library(key);
    if (found === null) throw new Error('a lookup of a file that exists found nothing');
    deepStrictEqual(byHand(key), found);
  }
}

async function contest<Key>(lookup: Lookup<Key>, { rounds, callers: count }: BenchSizes): Promise<Figure[]> {
  const { name, keys, library, byHand } = lookup;
  await assertSameAnswers(lookup);
  const many = async (callersBeside: number) => {
    let us = 0;
    const loop = await watchLoop(async () => {
      us = await timed(keys.length, () => callers(callersBeside, keys, library));
    });
    return { us, ...loop };
  };
  const { figures } = await takeTurns(
    {
      callers: () => many(count),
      manyCallers: () => many(MANY_CALLERS),
      loop: async () => ({ us: await timed(keys.length, () => keys.forEach(byHand)) }),
      single: async () => {
        const { call, milliseconds } = withLatency(library);
        await callers(1, keys.slice(0, Math.ceil(keys.length / SINGLE_SHARE)), call);
        return { p50: quantile(milliseconds, 0.5) * US_PER_MS, p99: quantile(milliseconds, 0.99) * US_PER_MS };
      },
    },
    rounds,
  );
  const line = (what: string, unit: string, values: readonly number[], target: Figure['target'] = null) =>
    figure('lookups', `${name}, ${what}`, unit, values, target);
  const atLeast = { least: LEAST_TIMES_LOOP };
  const { us: loop } = figures.loop;
  return [
    line(`${count} callers, each`, 'us', figures.callers.us),
    line(`${MANY_CALLERS} callers, each`, 'us', figures.manyCallers.us),
    line('prepared loop on the main thread, each', 'us', loop),
    line(`times as fast as the loop, ${count} callers`, 'x', ratios(loop, figures.callers.us), atLeast),
    line(`times as fast as the loop, ${MANY_CALLERS} callers`, 'x', ratios(loop, figures.manyCallers.us), atLeast),
    line('one caller, p50', 'us', figures.single.p50, { most: MOST_SINGLE_US }),
    line('one caller, p99', 'us', figures.single.p99),
    ...loopLines('lookups', `${name}, ${count} callers`, figures.callers),
  ];
}

/** The identities of files all over the catalogue. */
const identities = (calls: number, files: number, clientIds: readonly string[]): FileIdentity[] =>
  Array.from({ length: calls }, (_, call) => {
    const { clientId, fileName, originalPath } = sampleFile((call * STRIDE) % files, clientIds);
    return { clientId: String(clientId), fileName, originalPath: originalPath ?? null };
  });

/** Ids all over the catalogue; read by hand, so that the run does not wait for a list of every file. */
function scatteredIds(file: Database.Database, calls: number): string[] {
  const ids = file.prepare<unknown[], string>('SELECT lower(hex(ID)) FROM files').pluck().all();
  return Array.from({ length: calls }, (_, call) => ids[(call * STRIDE) % ids.length] as string);
}

export async function lookups(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const catalogue = await workplace.filled(sizes.files);
  const path = await workplace.copy(catalogue);
  const db = await openCatalogue(path);
  const file = openByHand(path);
  const figures = [
    ...(await contest(lookupById(db, file, scatteredIds(file, sizes.rows)), sizes)),
    ...(await contest(lookupByName(db, file, identities(sizes.rows, sizes.files, catalogue.clientIds)), sizes)),
  ];
  file.close();
  await db.close();
  await workplace.discard(path);
  return figures;
}
