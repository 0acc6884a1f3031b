/** How "unlimited" is stored. */

/** The stored limit that means "unlimited", in bytes. */
export const UNLIMITED_BYTES = Number.MAX_SAFE_INTEGER;
