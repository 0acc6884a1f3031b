/** The version of this library, from package.json. */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

// package.json is two folders above the sources, and three above dist/lib/runtime.
function readVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const { name, version } = require(path);
      if (name === 'backup-catalog') return version;
    } catch {
      // Not there: try the other place.
    }
  }
  return '0.0.0';
}

export const LIBRARY_VERSION: string = readVersion();
