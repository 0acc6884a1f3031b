/** The library that a run measures: the sources here, or the built package of this tree or of another commit. */
import type { DatabaseManager } from '../lib/index.ts';

/** A library by its public module. */
export interface Library {
  readonly url: URL;
  readonly DatabaseManager: typeof DatabaseManager;
}

/** The sources of this tree. */
export const SOURCES = new URL('../lib/index.ts', import.meta.url);

/** Loads a library by the URL of its public module. */
export async function loadLibrary(url: URL): Promise<Library> {
  const { DatabaseManager: manager } = (await import(url.href)) as Pick<Library, 'DatabaseManager'>;
  return { url, DatabaseManager: manager };
}
