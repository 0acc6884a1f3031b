/** `db.clients`: the machines that are backed up, and their keys. */
import type { CallOptions, Executor } from '../sql/engine.ts';
import { checkBytes, checkObject, checkText, isAbsent, optional } from '../validation.ts';
import { checkDate, type DateInput } from '../values/dates.ts';
import { checkId, type IdInput } from '../values/ids.ts';
import { checkPage, cutPage, everyItem, type PageOptions } from '../values/pages.ts';
import { UNLIMITED_BYTES } from '../values/quota-limit.ts';
import { deleteClient } from './client-deletion.ts';
import {
  type Client,
  type ClientKeys,
  countClients,
  exportClientKeys,
  getClient,
  getClientByName,
  listClients,
  renameClient,
  saveClient,
  touchClient,
} from './client-procedures.ts';
import type { Deletion } from './freed-paths.ts';

/** A client to store; omitted fields keep their value, null clears a key. */
export interface ClientInput {
  /** Omit it for a new client. */
  readonly id?: IdInput | undefined;
  /** 1 to 255 characters, unique. */
  readonly name: string;
  /** 1 to 160 bytes. */
  readonly publicKey?: Uint8Array | null | undefined;
  /** 1 to 32 bytes. */
  readonly aesKey?: Uint8Array | null | undefined;
}

/** A page of clients, by name. */
export interface ClientPage {
  readonly clients: Client[];
  readonly nextCursor: string | null;
}

/** `db.clients`: the machines that are backed up, and their keys. */
export interface Clients {
  /**
   * Updates the client with this id, or inserts a new one. Never changes its files.
   * @throws {DuplicateClientError} when the name belongs to another id
   * @throws {ValidationError} for a bad field
   * @example
   * ```ts
   * const client = await db.clients.save({ name: 'laptop-ada', publicKey: new Uint8Array(160) });
   * console.log(client.id, client.hasKey);
   * ```
   */
  save(client: ClientInput, options?: CallOptions): Promise<Client>;

  /** The client with this id, or null. */
  get(id: IdInput, options?: CallOptions): Promise<Client | null>;

  /** The client with this name (case matters), or null. */
  getByName(name: string, options?: CallOptions): Promise<Client | null>;

  /** A page of clients, ordered by name. */
  list(page?: PageOptions): Promise<ClientPage>;

  /** Every client, ordered by name; fetches a page at a time. */
  listAll(options?: CallOptions): AsyncGenerator<Client, void, undefined>;

  /** The number of clients. */
  count(options?: CallOptions): Promise<number>;

  /**
   * Gives a client another name.
   * @throws {NotFoundError} when the client does not exist
   * @throws {DuplicateClientError} when the name belongs to another id
   */
  rename(id: IdInput, name: string, options?: CallOptions): Promise<Client>;

  /**
   * Records the client's last contact: now, or at `when`.
   * @throws {NotFoundError} when the client does not exist
   */
  touch(id: IdInput, when?: DateInput | null, options?: CallOptions): Promise<Client>;

  /**
   * Removes a client with its files, versions, quota and activity. Up to 5,000 files, and on `tx`, that is one
   * transaction. With more files, the client is marked (`deleting: true`): it loses its keys and reservations at once
   * and accepts no saves, and its files go in slices between other writes. If the process is killed, the next process
   * that opens the catalogue finishes the deletion. A signal stops it between two slices; call again to continue.
   * @returns how many files and bytes this call removed, and their contents that no version names any more
   * @throws {NotFoundError} when the client does not exist
   */
  delete(id: IdInput, options?: CallOptions): Promise<Deletion>;

  /**
   * The keys of a client. No other call returns an AES key.
   * @throws {NotFoundError} when the client does not exist
   */
  exportKeys(id: IdInput, options?: CallOptions): Promise<ClientKeys>;
}

const MAX_NAME = 255; // VARCHAR(255) in the schema
const MAX_PUBLIC_KEY = 160; // BLOB(160)
const MAX_AES_KEY = 32; // BLOB(32)
const CLIENT_KEYS = new Set(['id', 'name', 'publicKey', 'aesKey']);
const LIST = 'clients.list';

const checkName = (value: unknown) => checkText(value, 'name', { max: MAX_NAME });

/** undefined keeps the stored value, null clears it. */
const keyToStore = (value: unknown, field: string, max: number) =>
  value === undefined ? undefined : optional(value, (given) => checkBytes(given, field, max));

function checkClient(client: ClientInput) {
  const given = checkObject(client, 'client', CLIENT_KEYS);
  return {
    id: isAbsent(given['id']) ? null : checkId(given['id'], 'id'),
    name: checkName(given['name']),
    publicKey: keyToStore(given['publicKey'], 'publicKey', MAX_PUBLIC_KEY),
    aesKey: keyToStore(given['aesKey'], 'aesKey', MAX_AES_KEY),
  };
}

/**
 * The rules for calls of clients.
 * @internal
 */
export interface ClientRules {
  /** Bytes that a new client may store; null for no limit. */
  readonly defaultQuotaBytes: number | null;
  /** Whether all calls run in one transaction, which cannot be divided. */
  readonly inTransaction: boolean;
}

/**
 * Builds `db.clients`.
 * @internal
 */
export function clientsOf(executor: Executor, { defaultQuotaBytes, inTransaction }: ClientRules): Clients {
  const quotaBytes = defaultQuotaBytes ?? UNLIMITED_BYTES;

  const list: Clients['list'] = async (page = {}) => {
    const request = checkPage(page, LIST, 1);
    const found = await executor.run(listClients, request, { signal: page.signal });
    const { rows, nextCursor } = cutPage(found, request.limit, LIST, ({ name }) => [name]);
    return { clients: rows, nextCursor };
  };

  return {
    save: async (client, options) => executor.run(saveClient, { ...checkClient(client), quotaBytes }, options),
    get: async (id, options) => executor.run(getClient, checkId(id, 'id'), options),
    getByName: async (name, options) => executor.run(getClientByName, checkName(name), options),
    list,

    listAll: (options) =>
      everyItem(async (page) => {
        const { clients: items, nextCursor } = await list(page);
        return { items, nextCursor };
      }, options),

    count: async (options) => executor.run(countClients, null, options),

    rename: async (id, name, options) =>
      executor.run(renameClient, { id: checkId(id, 'id'), name: checkName(name) }, options),

    async touch(id, when, options) {
      const seen = optional(when, (value) => checkDate(value, 'when'));
      return executor.run(touchClient, { id: checkId(id, 'id'), when: seen }, options);
    },

    delete: async (id, options) => deleteClient(executor, checkId(id, 'id'), { whole: inTransaction, ...options }),
    exportKeys: async (id, options) => executor.run(exportClientKeys, checkId(id, 'id'), options),
  };
}
