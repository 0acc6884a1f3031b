/** Reads thrown values, which may be anything. */

/** The code of an error of the system or a driver, such as `ENOENT`; '' without one. */
export const codeOf = (thrown: unknown): string =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : '';

/** Whether it is an error with one of these codes. */
export const hasCode = (thrown: unknown, ...codes: readonly string[]): boolean => codes.includes(codeOf(thrown));

const PRIMARY = 0xff; // the bits above are the extended code: https://sqlite.org/rescode.html

/** Primary result codes of SQLite. */
export const SQLITE = { ERROR: 1, CORRUPT: 11, FULL: 13, NOTADB: 26 } as const;

/** The primary result code in an error of node:sqlite; undefined for any other value. */
export const resultCodeOf = (thrown: unknown): number | undefined =>
  thrown instanceof Error && 'errcode' in thrown ? Number(thrown.errcode) & PRIMARY : undefined;

/** Its message. */
export const reasonOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
