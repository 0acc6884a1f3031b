/**
 * The facts of a file and their columns: all statements about files and versions derive their columns and rows from
 * this list. A fact added here is saved, read and restored everywhere.
 */
import type { Target } from '../sql/named-values.ts';
import type { Kind } from '../sql/tuple.ts';

/** A fact: its name, its column in `files`, and that in `file_versions`; null where only `files` has it. */
export interface FileFact {
  readonly name: string;
  readonly kind: Kind;
  readonly files: string;
  readonly versions: string | null;
}

const fact = <const Name extends string, const Of extends Kind>(
  name: Name,
  kind: Of,
  files: string,
  versions = files,
) => ({ name, kind, files, versions });

const factOfFile = <const Name extends string, const Of extends Kind>(name: Name, kind: Of, files: string) => ({
  name,
  kind,
  files,
  versions: null,
});

/** The identity of a file, which never changes. */
const IDENTITY = [
  fact('id', 'id', 'ID', 'FileID'),
  factOfFile('clientId', 'id', 'ClientID'),
  factOfFile('fileName', 'plain', 'FileName'),
  factOfFile('originalPath', 'plain', 'OriginalPath'),
] as const;

/** The facts of each version. */
export const CONTENT_FACTS = [
  fact('pathName', 'plain', 'PathName'),
  fact('fileSize', 'plain', 'FileSize'),
  fact('modificationDate', 'date', 'ModificationDate'),
  fact('crc', 'plain', 'CRC'),
  fact('verified', 'flag', 'Verified'),
  fact('category', 'plain', 'FileCategory'),
  fact('mimeType', 'plain', 'MimeType'),
  factOfFile('extension', 'plain', 'FileExtension'), // derived from the name, so all versions share it
  fact('fileHash', 'plain', 'FileHash', 'VersionHash'),
  fact('transferDuration', 'plain', 'TransferDuration'),
  fact('transferSpeed', 'plain', 'TransferSpeed'),
  fact('compressionRatio', 'plain', 'CompressionRatio'),
] as const;

export const NUMBER = fact('version', 'plain', 'CurrentVersion', 'VersionNumber');

/** Every fact of a file. */
export const FILE_FACTS = [...IDENTITY, ...CONTENT_FACTS, NUMBER] as const;

type InVersions<Facts extends readonly unknown[]> = Facts extends readonly [infer First, ...infer Rest]
  ? First extends { readonly versions: string }
    ? readonly [First, ...InVersions<Rest>]
    : InVersions<Rest>
  : readonly [];

const inVersions = <const Facts extends readonly FileFact[]>(facts: Facts) =>
  facts.filter(({ versions }) => versions !== null) as readonly FileFact[] as InVersions<Facts>;

/** The facts of each version, which `file_versions` holds. */
export const VERSION_CONTENT = inVersions(CONTENT_FACTS);

/** The facts that a file has from its current version. */
export const CURRENT_FACTS = [...VERSION_CONTENT, NUMBER] as const;

/** All facts of a version. */
export const VERSION_FACTS = inVersions(FILE_FACTS);

/** The facts as columns of `files`. */
export const inFiles = <const Name extends string>(
  facts: readonly { readonly name: Name; readonly files: string }[],
): Target<Name>[] => facts.map(({ name, files }) => ({ name, column: files }));

/** The facts as columns of `file_versions`. */
export const inFileVersions = <const Name extends string>(
  facts: readonly { readonly name: Name; readonly versions: string }[],
): Target<Name>[] => facts.map(({ name, versions }) => ({ name, column: versions }));
