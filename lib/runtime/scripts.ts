/**
 * Finds the modules that a thread or another process starts with. This is the only module that depends on its own place:
 * the built package bundles many modules into few files, and keeps this one in `lib/runtime/`.
 */
import { extname } from 'node:path';

// Sources run as .ts, the published package as .js.
const EXTENSION = extname(import.meta.url);

/** The URL of a module of this library, named by its path in `lib/` without extension. */
export const scriptUrl = (path: string): URL => new URL(`../${path}${EXTENSION}`, import.meta.url);
