/**
 * The manifest beside a backup: what the backup holds, and its checksum. Verification compares the backup with it, so a
 * backup without a manifest cannot be verified.
 */
import { codeOf, hasCode, reasonOf } from '../runtime/thrown.ts';
import { firstBytes, NotRegular } from './regular-file.ts';

/** Row counts of the main tables. */
export interface CatalogCounts {
  readonly clients: number;
  readonly files: number;
  readonly versions: number;
}

/** The facts of a backup. */
export interface Manifest {
  /** In hex, of the file on disk: the output of `sha256sum`. */
  readonly sha256: string;
  /** The size of that file. */
  readonly bytes: number;
  /** The newest migration in its journal; null for a file of an old server. */
  readonly schemaVersion: number | null;
  /** The identity of the source database; null for backups from before identities existed. */
  readonly databaseId: string | null;
  readonly counts: CatalogCounts;
  /** The instant whose state it holds, by the clock of the machine that made it. */
  readonly createdAt: string;
  /**
   * Its number among the backups of its database: later backups have greater numbers. Null if an older release made it.
   */
  readonly sequence: number | null;
  /** The reason for making it. */
  readonly reason: string;
  /** Whether the file is a zstd stream of the database. */
  readonly compressed: boolean;
}

const MAX_BYTES = 64 * 1024; // a manifest has about 500

/** The schema of a manifest. zod is loaded on first use: it takes 58 ms and 15 MB, which opening should not pay. */
async function makeSchema() {
  const { z } = await import('zod');
  const count = z.int().min(0);
  return z.strictObject({
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    bytes: count,
    schemaVersion: count.nullable(),
    databaseId: z
      .string()
      .regex(/^[0-9a-f]{32}$/)
      .nullable(),
    counts: z.strictObject({ clients: count, files: count, versions: count }),
    createdAt: z.iso.datetime({ precision: 3 }),
    sequence: count.nullable().default(null),
    reason: z.string(),
    compressed: z.boolean(),
  });
}

let schema: ReturnType<typeof makeSchema> | undefined;

/** The path of a backup's manifest. */
export const manifestPath = (backup: string): string => `${backup}.manifest.json`;

/** The backup that a manifest belongs to; undefined for any other file. */
export function backupOfManifest(path: string): string | undefined {
  const suffix = manifestPath('');
  return path.endsWith(suffix) ? path.slice(0, -suffix.length) : undefined;
}

export const manifestText = (manifest: Manifest): string => `${JSON.stringify(manifest, null, 2)}\n`;

/** The result of reading a manifest. */
export type FoundManifest =
  | { readonly manifest: Manifest; readonly problem: null }
  | { readonly manifest: null; readonly problem: string };

const missing = (problem: string): FoundManifest => ({ manifest: null, problem });

/** Reads the manifest of a backup; returns problems instead of throwing them. */
export async function readManifest(backup: string): Promise<FoundManifest> {
  const path = manifestPath(backup);
  try {
    const bytes = await firstBytes(path, MAX_BYTES + 1);
    if (bytes.length > MAX_BYTES) return missing('the manifest is too large');
    schema ??= makeSchema();
    const parsed = (await schema).safeParse(JSON.parse(bytes.toString('utf8')));
    if (parsed.success) return { manifest: parsed.data, problem: null };
    const [issue] = parsed.error.issues;
    return missing(`the manifest is not valid: ${issue?.path.join('.')}: ${issue?.message}`);
  } catch (error) {
    if (error instanceof SyntaxError) return missing('the manifest is not valid JSON');
    if (error instanceof NotRegular) return missing('the manifest is not a regular file');
    const isMissing = hasCode(error, 'ENOENT');
    return missing(
      isMissing
        ? 'there is no manifest beside it'
        : `the manifest cannot be read (${codeOf(error) || reasonOf(error)})`,
    );
  }
}
