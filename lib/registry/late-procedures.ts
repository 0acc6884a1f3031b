/**
 * Procedures that few catalogues ever run: migrations, adoption, repair. A thread loads this module at their first
 * call, because their imports would make every thread start slower by a third.
 */
export * from '../legacy/adoption/adopt-rows.ts';
export * from '../legacy/adoption/adopt-schema.ts';
export * from '../maintenance/repair-procedures.ts';
export * from '../migrations/deletion-work.ts';
export * from '../migrations/estimate.ts';
export * from '../migrations/migration-procedures.ts';
export * from '../migrations/verification.ts';
