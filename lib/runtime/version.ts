/** The release of this library, as package.json has it. */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

// From source package.json is two folders up, from dist/lib/runtime three.
function readVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const { name, version } = require(path);
      if (name === 'backup-catalog') return version;
    } catch {
      // Not there: the other place is tried.
    }
  }
  return '0.0.0';
}

export const LIBRARY_VERSION: string = readVersion();
