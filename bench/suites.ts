/** The table of suites. */
import type { BenchSizes } from './arguments.ts';
import { backup } from './backup.ts';
import type { Workplace } from './catalogue.ts';
import { lookups, lookupsAlone } from './lookups.ts';
import { migration } from './migration.ts';
import { mixed } from './mixed.ts';
import { open, openAlone } from './open.ts';
import { pages } from './pages.ts';
import { peers } from './peers.ts';
import { quota } from './quota.ts';
import type { Figure } from './report.ts';
import { saveMany, saveManyAlone } from './save-many.ts';
import { saves, savesAlone } from './saves.ts';
import { search, searchAlone } from './search.ts';
import { storage } from './storage.ts';

type Run = (sizes: BenchSizes, workplace: Workplace) => Promise<Figure[]>;

export interface Suite {
  readonly run: Run;
  /** The library's own figures, to alternate with those of a commit; null if there are none. */
  readonly alone: Run | null;
  /** Files in its catalogue, by default. */
  readonly files: number;
  /** It runs only when it is named. */
  readonly onRequest?: true;
}

const SOME = 100_000;
const MILLION = 1_000_000; // the targets for large catalogues are for this many

export const SUITES: Readonly<Record<string, Suite>> = {
  saves: { run: saves, alone: savesAlone, files: SOME },
  lookups: { run: lookups, alone: lookupsAlone, files: SOME },
  'save-many': { run: saveMany, alone: saveManyAlone, files: MILLION },
  open: { run: open, alone: openAlone, files: SOME },
  mixed: { run: mixed, alone: mixed, files: SOME },
  storage: { run: storage, alone: storage, files: MILLION },
  pages: { run: pages, alone: pages, files: MILLION },
  search: { run: search, alone: searchAlone, files: MILLION },
  quota: { run: quota, alone: quota, files: MILLION },
  backup: { run: backup, alone: backup, files: SOME },
  migration: { run: migration, alone: migration, files: MILLION, onRequest: true },
  peers: { run: peers, alone: null, files: SOME, onRequest: true },
};

/** The suites of these names; without names, those that run by default. @throws {TypeError} for an unknown name */
export function chosenSuites(names: readonly string[]): [string, Suite][] {
  const unknown = names.find((name) => !Object.hasOwn(SUITES, name));
  if (unknown !== undefined) {
    throw new TypeError(`there is no suite ${unknown}; there are ${Object.keys(SUITES).join(', ')}`);
  }
  return Object.entries(SUITES).filter(([name, { onRequest }]) =>
    names.length > 0 ? names.includes(name) : onRequest === undefined,
  );
}
