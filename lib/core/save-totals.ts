/**
 * What the saves of one transaction change in the totals, added up in memory and written once for each client and kind of
 * file. Says of each save what the triggers of lib/migrations/counting-triggers.ts say. Sums are BigInt: those of a few
 * hundred files can pass 2^53.
 */
import { run, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import { idBytes } from '../values/ids.ts';
import { SIZE_BOUNDS } from '../values/size-bands.ts';
import { removeMark, setMark } from './writer-mark.ts';

/** What of a file counts. */
export interface CountedFile {
  readonly fileSize: number;
  readonly category: string | null;
  readonly extension: string | null;
  readonly verified: boolean;
}

/** Files and bytes that a total gains; negative for what it loses. */
interface Change {
  files: bigint;
  bytes: bigint;
}

interface KindChange extends Change {
  readonly category: string;
  readonly extension: string;
  readonly band: number;
  readonly verified: number;
  /** Whether a file became one of the kind, so that its row may have to be made. */
  gains: boolean;
}

interface ClientChange extends Change {
  /** Bytes of versions. */
  used: bigint;
}

const bandOf = (size: number) => SIZE_BOUNDS.findLastIndex((min) => size >= min);

/** The totals that the saves of one transaction change. */
export class SaveTotals {
  readonly #kinds = new Map<string, KindChange>();
  readonly #clients = new Map<string, ClientChange>();
  #isCounting = false;

  /** Begins to count, if it does not yet: the triggers count nothing from here on. */
  *begin(): Steps<void> {
    if (this.#isCounting) return;
    yield* setMark();
    this.#isCounting = true;
  }

  /** Counts a version that was saved, and the file whose current version it is in the place of what the file was before. */
  saved(clientId: string, file: CountedFile, before: CountedFile | undefined): void {
    const client = this.#clients.get(clientId) ?? { files: 0n, bytes: 0n, used: 0n };
    this.#clients.set(clientId, client);
    const size = BigInt(file.fileSize);
    client.used += size;
    client.bytes += size;
    this.#count(file, 1n);
    if (before === undefined) client.files += 1n;
    else {
      client.bytes -= BigInt(before.fileSize);
      this.#count(before, -1n);
    }
  }

  #count(file: CountedFile, files: 1n | -1n): void {
    const { fileSize, category, extension, verified } = file;
    const kind = { category: category ?? '', extension: extension ?? '', band: bandOf(fileSize), verified: +verified };
    const key = JSON.stringify(kind);
    const change = this.#kinds.get(key) ?? { ...kind, files: 0n, bytes: 0n, gains: false };
    this.#kinds.set(key, change);
    change.files += files;
    change.bytes += files * BigInt(fileSize);
    change.gains ||= files > 0n;
  }

  /** Writes what was counted, and lets the triggers count again. `at` is when the quotas changed. */
  *end(at: string): Steps<void> {
    if (!this.#isCounting) return;
    for (const change of this.#kinds.values()) yield* changeKind(change);
    // The trigger that notes a client's day fires on its quota, and reads what stands there.
    yield* removeMark();
    for (const [clientId, { files, bytes, used }] of this.#clients) {
      yield* run(sql`UPDATE client_quotas SET FileCount = FileCount + ${files}, FileBytes = FileBytes + ${bytes},
        UsedBytes = coalesce(UsedBytes, 0) + ${used}, LastUpdated = ${at} WHERE ClientID = ${idBytes(clientId)}`);
    }
    this.#kinds.clear();
    this.#clients.clear();
    this.#isCounting = false;
  }
}

function* changeKind({ category, extension, band, verified, files, bytes, gains }: KindChange): Steps<void> {
  if (gains) {
    yield* run(sql`INSERT INTO file_totals AS t (Category, Extension, SizeBand, Verified, Files, Bytes)
      VALUES (${category}, ${extension}, ${band}, ${verified}, ${files}, ${bytes})
      ON CONFLICT (Category, Extension, SizeBand, Verified)
      DO UPDATE SET Files = t.Files + excluded.Files, Bytes = t.Bytes + excluded.Bytes`);
  } else {
    yield* run(sql`UPDATE file_totals SET Files = Files + ${files}, Bytes = Bytes + ${bytes}
      WHERE Category = ${category} AND Extension = ${extension} AND SizeBand = ${band} AND Verified = ${verified}`);
  }
}
