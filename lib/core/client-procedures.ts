/** The statements behind `db.clients`. Keys are read by `clients.exportKeys` alone; no other column list names them. */

import { DuplicateClientError, NotFoundError } from '../errors.ts';
import { type Dialect, perDialect } from '../sql/dialect.ts';
import { all, one, procedure, row, rows, run, type Steps } from '../sql/procedure.ts';
import { type Sql, sql, unplanned } from '../sql/template.ts';
import { dateOut, now } from '../values/dates.ts';
import { idBytes, newId } from '../values/ids.ts';
import type { PageRequest } from '../values/pages.ts';
import { changeRow } from './change-row.ts';
import { type Deletion, unnamedPaths } from './freed-paths.ts';

/** A client as every call but `exportKeys` shows it. */
export interface Client {
  readonly id: string;
  readonly name: string;
  readonly publicKey: Uint8Array | null;
  /** When it was last heard of; null where an old server left something that is no date. */
  readonly lastSeen: string | null;
  /** Whether an AES key is stored. */
  readonly hasKey: boolean;
}

/** A client on its way into the database; undefined keeps what is stored, null clears it. */
export interface ClientToSave {
  readonly id: string | null;
  readonly name: string;
  readonly publicKey: Uint8Array | null | undefined;
  readonly aesKey: Uint8Array | null | undefined;
  /** Bytes a new client may store. */
  readonly quotaBytes: number;
}

type ClientRow = readonly [id: string, name: string, publicKey: Uint8Array | null, lastSeen: unknown, hasKey: 0 | 1];

const clientColumns = perDialect(
  (dialect) => sql`${dialect.hex('ID')} AS "id", Name AS "name", PublicKey AS "publicKey", LastSeen AS "lastSeen",
    CASE WHEN AESKey IS NULL OR length(AESKey) = 0 THEN 0 ELSE 1 END AS "hasKey"`,
);

const toClient = ([id, name, publicKey, lastSeen, hasKey]: ClientRow): Client => ({
  id,
  name,
  publicKey,
  lastSeen: dateOut(lastSeen),
  hasKey: hasKey === 1,
});

const toClientOrNull = (found: ClientRow | undefined): Client | null => (found === undefined ? null : toClient(found));

const clientBy = (condition: Sql, dialect: Dialect) =>
  row<ClientRow>(sql`SELECT ${clientColumns(dialect)} FROM clients WHERE ${condition}`);

function* insertClient(id: string, client: ClientToSave): Steps<void> {
  const { name, publicKey = null, aesKey = null, quotaBytes } = client;
  const seen = now();
  yield* run(sql`INSERT INTO clients (ID, Name, PublicKey, LastSeen, AESKey)
    VALUES (${idBytes(id)}, ${name}, ${publicKey}, ${seen}, ${aesKey})`);
  yield* run(sql`INSERT INTO client_quotas (ClientID, QuotaBytes, UsedBytes, LastUpdated)
    VALUES (${idBytes(id)}, ${quotaBytes}, 0, ${seen})`);
}

function* updateClient(id: string, { name, publicKey, aesKey }: ClientToSave): Steps<void> {
  yield* changeRow(sql`UPDATE clients SET Name = ${name}, LastSeen = ${now()} WHERE ID = ${idBytes(id)}`);
  if (publicKey !== undefined)
    yield* changeRow(sql`UPDATE clients SET PublicKey = ${publicKey} WHERE ID = ${idBytes(id)}`);
  if (aesKey !== undefined) yield* changeRow(sql`UPDATE clients SET AESKey = ${aesKey} WHERE ID = ${idBytes(id)}`);
}

export const saveClient = procedure(
  'clients.save',
  'write',
  function* (client: ClientToSave, dialect): Steps<ClientRow> {
    yield* assertNameFree(client.name, client.id, dialect);
    const id = client.id ?? newId();
    const stored = client.id === null ? undefined : yield* clientBy(sql`ID = ${idBytes(id)}`, dialect);
    if (stored === undefined) yield* insertClient(id, client);
    else yield* updateClient(id, client);
    return yield* requireClient(id, dialect);
  },
  { decode: toClient },
);

function* assertNameFree(name: string, id: string | null, dialect: Dialect): Steps<void> {
  const holder = yield* one<{ id: string }>(sql`SELECT ${dialect.hex('ID')} AS "id" FROM clients WHERE Name = ${name}`);
  if (holder !== undefined && holder.id !== id) throw new DuplicateClientError(name);
}

function* requireClient(id: string, dialect: Dialect): Steps<ClientRow> {
  const found = yield* clientBy(sql`ID = ${idBytes(id)}`, dialect);
  if (found === undefined) throw new NotFoundError(`client ${id}`);
  return found;
}

export const getClient = procedure(
  'clients.get',
  'read',
  function* (id: string, dialect) {
    return yield* clientBy(sql`ID = ${idBytes(id)}`, dialect);
  },
  { decode: toClientOrNull, brief: true },
);

export const getClientByName = procedure(
  'clients.getByName',
  'read',
  function* (name: string, dialect) {
    return yield* clientBy(sql`Name = ${name}`, dialect);
  },
  { decode: toClientOrNull, brief: true },
);

/** A page of clients by name, one row more than asked for. */
export const listClients = procedure(
  'clients.list',
  'read',
  function* ({ limit, after }: PageRequest, dialect) {
    const condition = after === null ? sql`1 = 1` : sql`Name > ${after[0]}`;
    return yield* rows<ClientRow>(sql`SELECT ${clientColumns(dialect)} FROM clients WHERE ${condition}
      ORDER BY Name LIMIT ${unplanned(limit + 1)}`);
  },
  { decode: (found) => found.map(toClient), brief: true },
);

export const countClients = procedure(
  'clients.count',
  'read',
  function* (_: null): Steps<number> {
    const counted = yield* one<{ count: number }>(sql`SELECT count(*) AS "count" FROM clients`);
    return counted?.count ?? 0;
  },
  { brief: true },
);

/** Both keys of a client. */
export interface ClientKeys {
  readonly publicKey: Uint8Array | null;
  readonly aesKey: Uint8Array | null;
}

/** The only statement that reads an AES key. */
export const exportClientKeys = procedure('clients.exportKeys', 'read', function* (id: string): Steps<ClientKeys> {
  const keys = yield* one<ClientKeys>(sql`SELECT PublicKey AS "publicKey", AESKey AS "aesKey" FROM clients
    WHERE ID = ${idBytes(id)}`);
  if (keys === undefined) throw new NotFoundError(`client ${id}`);
  return keys;
});

export const renameClient = procedure(
  'clients.rename',
  'write',
  function* ({ id, name }: { readonly id: string; readonly name: string }, dialect): Steps<ClientRow> {
    yield* requireClient(id, dialect);
    yield* assertNameFree(name, id, dialect);
    yield* changeRow(sql`UPDATE clients SET Name = ${name} WHERE ID = ${idBytes(id)}`);
    return yield* requireClient(id, dialect);
  },
  { decode: toClient },
);

export const touchClient = procedure(
  'clients.touch',
  'write',
  function* ({ id, when }: { readonly id: string; readonly when: string | null }, dialect): Steps<ClientRow> {
    yield* run(sql`UPDATE clients SET LastSeen = ${when ?? now()} WHERE ID = ${idBytes(id)}`);
    return yield* requireClient(id, dialect);
  },
  { decode: toClient },
);

/** Removes a client with everything that names it, children first. */
export const deleteClient = procedure('clients.delete', 'write', function* (id: string, dialect): Steps<Deletion> {
  yield* requireClient(id, dialect);
  const client = idBytes(id);
  const ofClient = sql`SELECT ID FROM files WHERE ClientID = ${client}`;
  const versions = yield* one<{ bytes: number }>(sql`SELECT coalesce(sum(CAST(FileSize AS REAL)), 0) AS "bytes"
    FROM file_versions WHERE FileID IN (${ofClient})`);
  const named = yield* all<{ path: string }>(sql`SELECT PathName AS "path" FROM file_versions
    WHERE FileID IN (${ofClient}) UNION SELECT PathName FROM files WHERE ClientID = ${client} AND HighestVersion = 0`);
  // First, so that the triggers of what follows find nothing to count down.
  yield* run(sql`DELETE FROM quota_reservations WHERE ClientID = ${client}`);
  yield* run(sql`DELETE FROM client_quotas WHERE ClientID = ${client}`);
  yield* run(sql`DELETE FROM file_versions WHERE FileID IN (${ofClient})`);
  const { changes: deleted } = yield* run(sql`DELETE FROM files WHERE ClientID = ${client}`);
  yield* run(sql`DELETE FROM client_activity WHERE ClientID = ${client}`);
  yield* run(sql`DELETE FROM daily_totals WHERE ClientID = ${client}`);
  yield* changeRow(sql`DELETE FROM clients WHERE ID = ${client}`);
  const paths = yield* unnamedPaths(named.map(({ path }) => path));
  return { deleted, bytes: versions?.bytes ?? 0, paths };
});
