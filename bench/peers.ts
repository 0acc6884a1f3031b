/**
 * The libraries a user would choose instead, each used as its manual says, on the same schema, indexes and durability:
 * a save is one transaction of the same work, a lookup returns the same object. Peers leave the search index for later,
 * so they do a little less. Runs on request; it names and leaves out peers that are not installed.
 */
import { deepStrictEqual } from 'node:assert/strict';
import { checkFile, type FileInput } from '../lib/values/file-input.ts';
import type { BenchSizes } from './arguments.ts';
import type { StoredCatalogue, Workplace } from './catalogue.ts';
import { callers, takeTurns, timed } from './measure.ts';
import { note } from './notes.ts';
import { betterSqlite3, libsql, nodeSqlite3 } from './peers/drivers.ts';
import { drizzle } from './peers/drizzle.ts';
import { knex } from './peers/knex.ts';
import { kysely } from './peers/kysely.ts';
import { type Peer, type PeerSession, plainSave } from './peers/peer.ts';
import { typeorm } from './peers/typeorm.ts';
import { type Figure, figure } from './report.ts';
import { sampleFiles } from './sample-files.ts';
import { ratios } from './statistics.ts';

const PEERS: readonly Peer[] = [betterSqlite3, kysely, drizzle, typeorm, knex, nodeSqlite3, libsql];
const SLOWER = 10; // peers make a tenth of the saves, and all of the lookups
const LEAST_ROWS = 100;
const STRIDE = 7919;

const isInstalled = (name: string) => {
  try {
    return import.meta.resolve(name) !== '';
  } catch {
    return false;
  }
};

/** The installed peers; names the others and how to install them. */
function installedPeers(): readonly Peer[] {
  const absent = PEERS.filter(({ packages }) => !packages.every(isInstalled));
  if (absent.length > 0) {
    const names = absent.map(({ name }) => name).join(', ');
    note(`  not installed, left out: ${names}. Install them with: npm ci --prefix bench`);
  }
  return PEERS.filter((peer) => !absent.includes(peer));
}

/** Something that saves and looks up. */
interface Contestant {
  readonly name: string;
  readonly rows: number;
  readonly save: (files: readonly FileInput[]) => Promise<number>;
  readonly get: (ids: readonly string[]) => Promise<number>;
  readonly close: () => unknown;
}

async function library(workplace: Workplace, path: string, { rows, callers: count }: BenchSizes): Promise<Contestant> {
  const db = await workplace.open(path);
  return {
    name: 'this library',
    rows,
    save: (files) => timed(files.length, () => callers(count, files, (file) => db.files.save(file))),
    get: (ids) => timed(ids.length, () => callers(count, ids, (id) => db.files.get(id))),
    close: () => db.close(),
  };
}

/** Where a peer runs, and a file it must find there. */
interface Place {
  readonly workplace: Workplace;
  readonly path: string;
  readonly id: string;
  readonly sizes: BenchSizes;
}

/** Opens a peer and checks that it finds what the library stored. */
async function contestant(peer: Peer, { workplace, path, id, sizes }: Place): Promise<Contestant> {
  const db = await workplace.open(path);
  const expected = await db.files.get(id);
  await db.close();
  const session: PeerSession = await peer.open(path);
  deepStrictEqual(await session.get(id), expected);
  const { callers: count } = sizes;
  return {
    name: peer.name,
    rows: Math.max(LEAST_ROWS, Math.floor(sizes.rows / SLOWER)),
    save: async (files) => {
      const saves = files.map((file) => plainSave(checkFile(file)));
      return timed(saves.length, () => callers(count, saves, async (save) => session.save(save)));
    },
    get: (ids) => timed(ids.length, () => callers(count, ids, async (key) => session.get(key))),
    close: () => session.close(),
  };
}

async function someIds(workplace: Workplace, path: string): Promise<string[]> {
  const db = await workplace.open(path);
  const { files } = await db.files.list({ limit: 1_000 });
  await db.close();
  return files.map(({ id }) => id);
}

/** One round of a contestant: saves, then lookups all over what the catalogue held before. */
const roundOf =
  (each: Contestant, catalogue: StoredCatalogue, ids: readonly string[], rows: number) => async (round: number) => {
    const files = sampleFiles(catalogue.files + round * rows, each.rows, catalogue.clientIds);
    const keys = Array.from({ length: rows }, (_, call) => ids[(call * STRIDE) % ids.length] as string);
    return { save: await each.save(files), get: await each.get(keys) };
  };

export async function peers(sizes: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const catalogue = await workplace.filled(sizes.files);
  const ids = await someIds(workplace, await workplace.copy(catalogue));
  const contestants = [await library(workplace, await workplace.copy(catalogue), sizes)];
  for (const peer of installedPeers()) {
    const path = await workplace.copy(catalogue);
    contestants.push(await contestant(peer, { workplace, path, id: String(ids[0]), sizes }));
  }
  const rounds = contestants.map((each) => [each.name, roundOf(each, catalogue, ids, sizes.rows)] as const);
  const { figures } = await takeTurns(Object.fromEntries(rounds), sizes);
  for (const { close } of contestants) await close();
  const [ours, ...theirs] = contestants.map(({ name }) => ({ name, ...figures[name] }) as never as PeerFigures);
  if (ours === undefined) return [];
  return [...lines('save', sizes, ours, theirs), ...lines('get', sizes, ours, theirs)];
}

interface PeerFigures {
  readonly name: string;
  readonly save: readonly number[];
  readonly get: readonly number[];
}

const lines = (
  call: 'save' | 'get',
  { callers: count }: BenchSizes,
  ours: PeerFigures,
  theirs: readonly PeerFigures[],
): Figure[] => [
  figure('peers', `${call}, ${count} callers, ${ours.name}`, 'us', ours[call]),
  ...theirs.flatMap((peer) => [
    figure('peers', `${call}, ${count} callers, ${peer.name}`, 'us', peer[call]),
    figure('peers', `${call}, times as fast as ${peer.name}`, 'x', ratios(peer[call], ours[call]), { least: 1 }),
  ]),
];
