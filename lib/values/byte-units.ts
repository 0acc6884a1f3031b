/** Units of bytes. */
export const MIB: number = 1024 ** 2;
export const GIB: number = 1024 ** 3;
