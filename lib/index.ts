/** The public API. */
import './node-version.ts';

export { DatabaseManager } from './database-manager.ts';
export * from './errors.ts';
