/** The files of each room, and the tests that should notice a fault in them. */
import { globSync } from 'node:fs';
import { basename } from 'node:path';

export interface Room {
  readonly files: readonly string[];
  /** Names of test files, in order of the faults they notice for their time. */
  readonly tests: readonly string[];
}

interface RoomRule {
  readonly files: string;
  /** Left out: what no test of behaviour needs to notice. */
  readonly except?: RegExp;
  readonly tests: readonly string[];
}

const ROOMS: Readonly<Record<string, RoomRule>> = {
  core: {
    files: 'lib/core/*.ts',
    tests: [
      'core',
      'quota',
      'retention',
      'save-many',
      'quota-history',
      'retention-policy',
      'client-deletion',
      'foreign-rows',
      'analytics',
      'search',
      'catalog',
    ],
  },
  quota: { files: 'lib/quota/*.ts', tests: ['quota', 'quota-history', 'quota-processes', 'foreign-rows', 'core'] },
  backup: { files: 'lib/backup/**/*.ts', tests: ['backup', 'restore', 'health', 'cli-backup'] },
  migrations: {
    files: 'lib/migrations/*.ts',
    // The text of released migrations: a recorded hash and docs/schema.sql notice every changed letter.
    except: /-schema\.ts$|counting-triggers\.ts$/,
    tests: ['migrations', 'migration-safety', 'adoption', 'client-deletion'],
  },
};

export const ROOM_NAMES: readonly string[] = Object.keys(ROOMS);

/** The room of that name, its files sorted; undefined if there is no such room. */
export function roomOf(name: string, root: string): Room | undefined {
  const rule = ROOMS[name];
  if (rule === undefined) return undefined;
  const files = globSync(rule.files, { cwd: root }).map((file) => file.replaceAll('\\', '/'));
  return { files: files.filter((file) => !rule.except?.test(file)).sort(), tests: rule.tests };
}

const stem = (path: string): string => basename(path, '.ts').slice(0, 5);

/** The tests in the order of their run for a fault in a file: those of the same name first, then as in the room. */
export function testsFor(file: string, tests: readonly string[]): string[] {
  const isNamesake = (test: string) => test.startsWith(stem(file));
  return [...tests.filter(isNamesake), ...tests.filter((test) => !isNamesake(test))];
}
