/** The size bands of statistics: where each begins, in bytes; the last has no end. Part of a migration: never edited. */
const KIB = 1024;

export const SIZE_BOUNDS: readonly number[] = [0, KIB, 100 * KIB, KIB ** 2, 10 * KIB ** 2, 100 * KIB ** 2, KIB ** 3];
