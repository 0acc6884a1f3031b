/** The registry: every procedure of the product. A connection's thread imports this module and finds them by name. */
export * from './core/client-procedures.ts';
export * from './core/file-procedures.ts';
export * from './core/save-file.ts';
export * from './migrations/migration-procedures.ts';
