/**
 * The size bands of statistics: the lower bound of each in bytes; the last has no upper bound. Part of a migration:
 * never edited.
 */
const KIB = 1024;

export const SIZE_BOUNDS: readonly number[] = [0, KIB, 100 * KIB, KIB ** 2, 10 * KIB ** 2, 100 * KIB ** 2, KIB ** 3];
