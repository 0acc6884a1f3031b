/**
 * Finds the entry modules of threads and processes. Only this module depends on its own location: the built package
 * bundles many modules into few files but keeps this one in `lib/runtime/`.
 */
import { extname } from 'node:path';

// Sources run as .ts, the published package as .js.
const EXTENSION = extname(import.meta.url);

/** The URL of a module of this library, given its path in `lib/` without extension. */
export const scriptUrl = (path: string): URL => new URL(`../${path}${EXTENSION}`, import.meta.url);
