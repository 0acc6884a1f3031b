/**
 * Sums up in memory how the saves of one transaction change the totals, and writes each sum once per client and kind of
 * file. Counts each save like the triggers of lib/migrations/counting-triggers.ts. Sums are BigInt, because those of a
 * few hundred files can exceed 2^53.
 */
import { run, type Steps } from '../sql/procedure.ts';
import { sql } from '../sql/template.ts';
import { idBytes } from '../values/ids.ts';
import { SIZE_BOUNDS } from '../values/size-bands.ts';
import { removeMark, setMark } from './writer-mark.ts';

/** The facts of a file that count. */
export interface CountedFile {
  readonly fileSize: number;
  readonly category: string | null;
  readonly extension: string | null;
  readonly verified: boolean;
}

/** The change of a total in files and bytes; negative for a loss. */
interface Change {
  files: bigint;
  bytes: bigint;
}

interface KindChange extends Change {
  readonly category: string;
  readonly extension: string;
  readonly band: number;
  readonly verified: number;
  /** Whether a file has joined this kind, so that its row may be missing. */
  gains: boolean;
}

interface ClientChange extends Change {
  /** Bytes of versions. */
  used: bigint;
}

const bandOf = (size: number) => SIZE_BOUNDS.findLastIndex((min) => size >= min);

/** The changes of totals by the saves of one transaction. */
export class SaveTotals {
  readonly #kinds = new Map<string, KindChange>();
  readonly #clients = new Map<string, ClientChange>();
  #isCounting = false;

  /** Starts counting, unless it has started: from here on the triggers count nothing. */
  *begin(): Steps<void> {
    if (this.#isCounting) return;
    yield* setMark();
    this.#isCounting = true;
  }

  /** Counts a saved version, and replaces the file's previous facts with those of its new current version. */
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

  /** Writes the sums and lets the triggers count again. `at` is the time of the quota change. */
  *end(at: string): Steps<void> {
    if (!this.#isCounting) return;
    for (const change of this.#kinds.values()) yield* changeKind(change);
    // The trigger that records a client's day fires on its quota and reads the totals.
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
