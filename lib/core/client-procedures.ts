/** The statements behind `db.clients`. Keys are read by `clients.exportKeys` alone; no other column list names them. */

import { DuplicateClientError, NotFoundError } from '../errors.ts';
import type { Dialect } from '../sql/dialect.ts';
import { one, procedure, row, rows, run, type Steps } from '../sql/procedure.ts';
import { type Sql, sql } from '../sql/template.ts';
import { placesOf, type Row, selected } from '../sql/tuple.ts';
import { dateOut, now } from '../values/dates.ts';
import { idBytes, newId } from '../values/ids.ts';
import type { PageRequest } from '../values/pages.ts';
import { changeRow } from './change-row.ts';
import { assertNotDeleting } from './client-deletion-procedures.ts';
import { countQuota } from './quota-rows.ts';

/** A client, as every call except `exportKeys` returns it. */
export interface Client {
  readonly id: string;
  readonly name: string;
  readonly publicKey: Uint8Array | null;
  /** Its last contact; null if an old server left an invalid date. */
  readonly lastSeen: string | null;
  /** Whether an AES key is stored. */
  readonly hasKey: boolean;
  /** Present while the client is being deleted; it then accepts no saves. */
  readonly deleting?: true;
}

/** A client for the database; undefined keeps the stored value, null clears it. */
export interface ClientToSave {
  readonly id: string | null;
  readonly name: string;
  readonly publicKey: Uint8Array | null | undefined;
  readonly aesKey: Uint8Array | null | undefined;
  /** Bytes a new client may store. */
  readonly quotaBytes: number;
}

const DELETING = 'CASE WHEN EXISTS (SELECT 1 FROM client_deletions d WHERE d.ClientID = clients.ID) THEN 1 ELSE 0 END';

const CLIENT_COLUMNS = [
  { name: 'id', kind: 'id', column: 'ID' },
  { name: 'name', kind: 'plain', column: 'Name' },
  { name: 'publicKey', kind: 'plain', column: 'PublicKey' },
  { name: 'lastSeen', kind: 'date', column: 'LastSeen' },
  { name: 'hasKey', kind: 'flag', column: 'CASE WHEN AESKey IS NULL OR length(AESKey) = 0 THEN 0 ELSE 1 END' },
  { name: 'deleting', kind: 'flag', column: DELETING },
] as const;

type ClientRow = Row<typeof CLIENT_COLUMNS, Client>;

const CLIENT = placesOf(CLIENT_COLUMNS);
const clientColumns = selected(CLIENT_COLUMNS, ({ column }) => column);

const toClient = (row: ClientRow): Client => ({
  id: row[CLIENT.id],
  name: row[CLIENT.name],
  publicKey: row[CLIENT.publicKey],
  lastSeen: dateOut(row[CLIENT.lastSeen]),
  hasKey: row[CLIENT.hasKey] === 1,
  ...(row[CLIENT.deleting] === 1 ? { deleting: true } : {}),
});

const toClientOrNull = (found: ClientRow | undefined): Client | null => (found === undefined ? null : toClient(found));

const clientBy = (condition: Sql, dialect: Dialect) =>
  row<ClientRow>(sql`SELECT ${clientColumns(dialect)} FROM clients WHERE ${condition}`);

// A program that deletes a client with foreign keys off leaves its files, which then belong to it again.
function* countLeftRows(id: string, dialect: Dialect): Steps<void> {
  const left = yield* one(sql`SELECT 1 AS "left" FROM files WHERE ClientID = ${idBytes(id)} LIMIT 1`);
  if (left !== undefined) yield* countQuota(id, dialect);
}

function* insertClient(id: string, client: ClientToSave, dialect: Dialect): Steps<void> {
  const { name, publicKey = null, aesKey = null, quotaBytes } = client;
  const seen = now();
  yield* run(sql`INSERT INTO clients (ID, Name, PublicKey, LastSeen, AESKey)
    VALUES (${idBytes(id)}, ${name}, ${publicKey}, ${seen}, ${aesKey})`);
  yield* run(sql`INSERT INTO client_quotas (ClientID, QuotaBytes, UsedBytes, LastUpdated)
    VALUES (${idBytes(id)}, ${quotaBytes}, 0, ${seen}) ON CONFLICT (ClientID) DO UPDATE SET
    QuotaBytes = excluded.QuotaBytes, LastUpdated = excluded.LastUpdated`);
  if (client.id !== null) yield* countLeftRows(id, dialect);
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
    if (client.id !== null) yield* assertNotDeleting(id);
    const stored = client.id === null ? undefined : yield* clientBy(sql`ID = ${idBytes(id)}`, dialect);
    if (stored === undefined) yield* insertClient(id, client, dialect);
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
    const [name] = after ?? [];
    const condition = name === undefined ? sql`1 = 1` : sql`Name > ${name}`;
    return yield* rows<ClientRow>(sql`SELECT ${clientColumns(dialect)} FROM clients WHERE ${condition}
      ORDER BY Name LIMIT ${dialect.unplanned(limit + 1)}`);
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
    yield* assertNotDeleting(id);
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
