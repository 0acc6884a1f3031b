/** Builds packages into a folder: of this tree as it is, and of a commit with its own build script and dependencies. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runChild } from './child-process.ts';
import { note } from './notes.ts';

const PROJECT = resolve(import.meta.dirname, '..');

/** A built package. */
export interface BuiltPackage {
  /** Its name in the report. */
  readonly name: string;
  /** Its public module. */
  readonly url: URL;
}

const git = async (...args: readonly string[]) => (await runChild('git', args, PROJECT)).trim();

/** The full name of a commit. @throws {TypeError} when it does not exist */
async function commitNamed(name: string): Promise<string> {
  try {
    return await git('rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`);
  } catch {
    throw new TypeError(`--beside takes a commit of this repository, not ${name}`);
  }
}

const publicModule = (folder: string) => pathToFileURL(join(folder, 'dist/lib/index.js'));

const linkModules = (folder: string) => symlink(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));

async function hasSameDependencies(folder: string): Promise<boolean> {
  const locks = [PROJECT, folder].map((place) => readFile(join(place, 'package-lock.json'), 'utf8'));
  const [ours, theirs] = await Promise.all(locks);
  return ours === theirs;
}

/** Builds this tree, uncommitted changes included; does not touch its own `dist/`. */
export async function buildPresent(parent: string): Promise<BuiltPackage> {
  const folder = join(parent, 'now');
  await mkdir(folder);
  await copyFile(join(PROJECT, 'package.json'), join(folder, 'package.json'));
  await linkModules(folder);
  note('building this tree …');
  await runChild(process.execPath, ['scripts/build.ts', join(folder, 'dist')], PROJECT);
  return { name: 'now', url: publicModule(folder) };
}

/** Builds a commit with its own build script. @throws {TypeError} when there is no such commit */
export async function buildCommit(name: string, parent: string): Promise<BuiltPackage> {
  const commit = await commitNamed(name);
  const short = await git('rev-parse', '--short', commit);
  const folder = join(parent, short);
  await mkdir(folder);
  const archive = join(parent, `${short}.tar`);
  await git('archive', '--format=tar', `--output=${archive}`, commit);
  await runChild('tar', ['-xf', archive, '-C', folder], parent);
  if (await hasSameDependencies(folder)) {
    await linkModules(folder);
  } else {
    note(`installing the dependencies of ${short}: its lock file differs …`);
    await runChild('npm', ['ci', '--no-audit', '--no-fund'], folder);
  }
  const url = publicModule(folder);
  // Installing dependencies builds the package too, if `prepare` says so.
  if (!existsSync(url)) {
    note(`building ${short} …`);
    await runChild(process.execPath, ['scripts/build.ts'], folder);
  }
  return { name: short, url };
}
