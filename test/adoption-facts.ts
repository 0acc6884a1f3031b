/**
 * Whether an adopted file still tells everything that the old one did: read with a connection of its own, after plain
 * rules written down here once more, so that a mistake of the library is not repeated by its test.
 */
import Database from 'better-sqlite3';

type Row = Record<string, unknown>;

const hex = (value: unknown) => (Buffer.isBuffer(value) ? value.toString('hex') : String(value));

/** The instant of a date as the old server wrote it, where the zone is UTC; NaN for none. */
function instantOf(text: unknown): number {
  if (typeof text !== 'string') return Number.NaN;
  if (/^\d{10}$/.test(text)) return Number(text) * 1_000;
  const plain = text
    .replace(/(\+00:00)?Z?$/, '')
    .replaceAll('/', '-')
    .replace(' ', 'T');
  const [, day, clock = '00:00'] = /^(\d{4}-\d\d-\d\d)(?:T(.*))?$/.exec(plain) ?? [];
  if (day === undefined) return Number.NaN;
  const instant = Date.parse(`${day}T${clock.slice(0, 23)}Z`);
  const isReal = !Number.isNaN(instant) && new Date(instant).toISOString().startsWith(day);
  return isReal ? instant : Number.NaN;
}

const sameNumber = (a: number, b: number) => a === b || (Number.isNaN(a) && Number.isNaN(b));

function clientProblems(before: Database.Database, after: Database.Database): string[] {
  const now = after.prepare('SELECT * FROM clients').all() as Row[];
  const notes = after.prepare("SELECT * FROM adoption_notes WHERE SourceTable = 'clients'").all() as Row[];
  return (before.prepare('SELECT * FROM clients').all() as Row[]).flatMap((old) => {
    const found = now.find((row) => row['Name'] === old['Name']);
    if (found === undefined) return [`client ${old['Name']} is gone`];
    const problems: string[] = [];
    if (old['ID'] !== null && hex(old['ID']) !== hex(found['ID'])) problems.push('ID');
    if (old['ID'] === null && hex(found['ID']).length !== 32) problems.push('new ID');
    for (const key of ['PublicKey', 'AESKey']) if (hex(old[key]) !== hex(found[key])) problems.push(key);
    const seen = instantOf(old['LastSeen']);
    if (!sameNumber(seen, instantOf(found['LastSeen']))) problems.push('LastSeen');
    const isNoted = notes.some((note) => hex(note['RowID']) === hex(found['ID']) && note['Value'] === old['LastSeen']);
    if (Number.isNaN(seen) && old['LastSeen'] !== '' && !isNoted) problems.push('unreadable LastSeen');
    return problems.map(
      (problem) => `${problem} of client ${old['Name']}: ${JSON.stringify(old)} ${JSON.stringify(found)}`,
    );
  });
}

const FACTS = ['FileSize', 'ModificationDate', 'CRC', 'FileHash', 'TransferSpeed'];

/** Whether a fact of an old row is told: by the version, by what was noted beside it, or by the row's own remains. */
function isTold(old: Row, fact: string, version: Row, remains: Row | undefined, notes: readonly Row[]): boolean {
  const value = old[fact] ?? null;
  if (value === null || value === '') return true;
  if (version[fact] === value) return true;
  if (notes.some((note) => note['ColumnName'] === fact && note['Value'] === value)) return true;
  const left =
    remains?.['Facts'] === undefined || remains['Facts'] === null ? {} : JSON.parse(String(remains['Facts']));
  if (left[fact] === value) return true;
  if (fact !== 'ModificationDate') return false;
  const instant = instantOf(value);
  return !Number.isNaN(instant) && [version[fact], left[fact]].some((text) => instantOf(text) === instant);
}

const VERSIONS = `SELECT v.*, v.VersionHash AS FileHash, f.FileName, f.ClientID, f.OriginalPath FROM file_versions v
  JOIN files f ON f.ID = v.FileID`;

function fileProblem(
  old: Row,
  versions: readonly Row[],
  remains: readonly Row[],
  notes: readonly Row[],
): string | null {
  const own = remains.filter((row) => old['ID'] !== null && hex(row['OldID']) === hex(old['ID']));
  const candidates = versions.filter(
    (version) =>
      version['FileName'] === old['FileName'] &&
      hex(version['ClientID']) === hex(old['ClientID']) &&
      (version['OriginalPath'] ?? '') === (old['OriginalPath'] ?? '') &&
      version['PathName'] === old['PathName'],
  );
  const isKept = candidates.some((version) => {
    const about = notes.filter((note) => hex(note['RowID']) === hex(version['FileID']));
    const isVerified = !old['Verified'] || version['Verified'] === 1;
    const left = own.find((row) => hex(row['FileID']) === hex(version['FileID']));
    return isVerified && FACTS.every((fact) => isTold(old, fact, version, left, about));
  });
  if (!isKept) return `no version tells what this row did: ${JSON.stringify(old)}`;
  const isNamed =
    old['ID'] === null || own.length > 0 || candidates.some((version) => hex(version['FileID']) === hex(old['ID']));
  return isNamed ? null : `the id ${hex(old['ID'])} is nowhere`;
}

const quoted = (value: unknown) =>
  Buffer.isBuffer(value) ? `X'${value.toString('hex').toUpperCase()}'` : (value ?? null);

function isQuarantined(old: Row, quarantined: readonly Row[]): boolean {
  return quarantined.some((row) => {
    const kept = JSON.parse(String(row['Row']));
    return Object.entries(old).every(([column, value]) => kept[column] === quoted(value));
  });
}

/** What an adopted file no longer tells; nothing when all is there. */
export function lostFacts(oldPath: string, newPath: string): string[] {
  const before = new Database(oldPath, { readonly: true });
  const after = new Database(newPath, { readonly: true });
  try {
    const tables = before.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all();
    const problems = tables.includes('clients') ? clientProblems(before, after) : [];
    if (!tables.includes('files')) return problems;
    const versions = after.prepare(VERSIONS).all() as Row[];
    const remains = after.prepare('SELECT * FROM adopted_rows').all() as Row[];
    const notes = after.prepare("SELECT * FROM adoption_notes WHERE SourceTable = 'files'").all() as Row[];
    const quarantined = after.prepare("SELECT * FROM quarantined_files WHERE SourceTable = 'files'").all() as Row[];
    for (const old of before.prepare('SELECT * FROM files').all() as Row[]) {
      if (isQuarantined(old, quarantined)) continue;
      const problem = fileProblem(old, versions, remains, notes);
      if (problem !== null) problems.push(problem);
    }
    return problems;
  } finally {
    before.close();
    after.close();
  }
}

/** What must hold in every adopted catalogue, whatever was in it. */
export function brokenRules(path: string): string[] {
  const database = new Database(path, { readonly: true });
  const count = (sql: string) => Number(database.prepare(`SELECT count(*) FROM ${sql}`).pluck().get());
  const rules: Record<string, string> = {
    'a client without an id': 'clients WHERE ID IS NULL',
    'a file without an id': "files WHERE ID IS NULL OR typeof(ID) <> 'blob' OR length(ID) <> 16",
    'a file of no client': 'files f WHERE NOT EXISTS (SELECT 1 FROM clients c WHERE c.ID = f.ClientID)',
    'a file without a version': 'files WHERE HighestVersion = 0 OR CurrentVersion = 0',
    'two files of one identity': `(SELECT 1 FROM files GROUP BY ClientID, FileName, coalesce(OriginalPath, '')
      HAVING count(*) > 1)`,
    'a file that differs from its version': `files f LEFT JOIN file_versions v ON v.FileID = f.ID
      AND v.VersionNumber = f.CurrentVersion WHERE v.ID IS NULL OR v.IsActive IS NOT 1 OR v.PathName IS NOT f.PathName
      OR v.FileSize IS NOT f.FileSize OR v.CRC IS NOT f.CRC OR v.Verified IS NOT f.Verified
      OR v.ModificationDate IS NOT f.ModificationDate`,
    'more than one active version':
      '(SELECT 1 FROM file_versions WHERE IsActive = 1 GROUP BY FileID HAVING count(*) > 1)',
    'a client without a quota': 'clients c WHERE NOT EXISTS (SELECT 1 FROM client_quotas q WHERE q.ClientID = c.ID)',
    'a quota that blocks': 'client_quotas WHERE UsedBytes > QuotaBytes',
    // What an old server stored that is no size counts as nothing.
    'a use that drifted': `client_quotas q WHERE UsedBytes <> (SELECT coalesce(sum(v.FileSize)
      FILTER (WHERE typeof(v.FileSize) = 'integer' AND v.FileSize >= 0), 0) FROM file_versions v
      JOIN files f ON f.ID = v.FileID WHERE f.ClientID = q.ClientID)`,
    'a value out of bounds': `files WHERE (FileSize IS NOT NULL AND (typeof(FileSize) <> 'integer' OR FileSize < 0))
      OR (CRC IS NOT NULL AND CRC NOT BETWEEN 0 AND 4294967295) OR Verified NOT IN (0, 1)`,
    'a date that is not canonical': `files WHERE ModificationDate NOT GLOB '????-??-??T??:??:??.???Z'`,
    'a file without a category': 'files WHERE FileCategory IS NULL',
    'a broken foreign key': 'pragma_foreign_key_check',
  };
  try {
    return Object.entries(rules).flatMap(([rule, sql]) => (count(sql) === 0 ? [] : [`${rule}: ${count(sql)}`]));
  } finally {
    database.close();
  }
}
