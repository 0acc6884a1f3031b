/**
 * The procedures that few catalogues ever run: migrations, adoption, repair. A thread loads this module when the first of
 * them is called, because what they need would make every thread start a third slower.
 */
export * from '../legacy/adoption/adopt-rows.ts';
export * from '../legacy/adoption/adopt-schema.ts';
export * from '../maintenance/repair-procedures.ts';
export * from '../migrations/deletion-work.ts';
export * from '../migrations/estimate.ts';
export * from '../migrations/migration-procedures.ts';
export * from '../migrations/verification.ts';
