/** The library as `DatabaseManager` loads it on first use. */
import { AssembledCatalog } from './assembled-catalog.ts';
import { type OpenOptions, openCatalog } from './open.ts';

export { openUnmigrated } from './open.ts';
export { restoreFile } from './restore-file.ts';

/** Opens a catalogue and assembles its modules. @throws as `DatabaseManager.open` */
export const openAssembled = async (options: OpenOptions): Promise<AssembledCatalog> =>
  new AssembledCatalog(await openCatalog(options));
