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

/** A client to store; fields left out keep their value, null clears a key. */
export interface ClientInput {
  /** Left out for a new client. */
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

const MAX_NAME = 255; // VARCHAR(255) in the schema
const MAX_PUBLIC_KEY = 160; // BLOB(160)
const MAX_AES_KEY = 32; // BLOB(32)
const CLIENT_KEYS = new Set(['id', 'name', 'publicKey', 'aesKey']);
const LIST = 'clients.list';

const checkName = (value: unknown) => checkText(value, 'name', { max: MAX_NAME });

/** undefined keeps what is stored, null clears it. */
const keyToStore = (value: unknown, field: string, max: number) =>
  value === undefined ? undefined : optional(value, (given) => checkBytes(given, field, max));

/** The calls of `db.clients`; `defaultQuotaBytes` is what a new client may store, null for no limit. */
export function createClients(executor: Executor, defaultQuotaBytes: number | null, inTransaction: boolean) {
  const list = async (page: PageOptions = {}): Promise<ClientPage> => {
    const request = checkPage(page, LIST, 1);
    const found = await executor.run(listClients, request, { signal: page.signal });
    const { rows, nextCursor } = cutPage(found, request.limit, LIST, ({ name }) => [name]);
    return { clients: rows, nextCursor };
  };

  return {
    /**
     * Stores a client: an update where the id exists, else an insert. Never touches its files.
     * @throws {DuplicateClientError} when the name belongs to another id
     * @throws {ValidationError} for a bad field
     */
    async save(client: ClientInput, options?: CallOptions): Promise<Client> {
      const given = checkObject(client, 'client', CLIENT_KEYS);
      const input = {
        id: isAbsent(given['id']) ? null : checkId(given['id'], 'id'),
        name: checkName(given['name']),
        publicKey: keyToStore(given['publicKey'], 'publicKey', MAX_PUBLIC_KEY),
        aesKey: keyToStore(given['aesKey'], 'aesKey', MAX_AES_KEY),
        quotaBytes: defaultQuotaBytes ?? UNLIMITED_BYTES,
      };
      return executor.run(saveClient, input, options);
    },

    /** The client of an id, or null. */
    async get(id: IdInput, options?: CallOptions): Promise<Client | null> {
      return executor.run(getClient, checkId(id, 'id'), options);
    },

    /** The client of a name (exact, case matters), or null. */
    async getByName(name: string, options?: CallOptions): Promise<Client | null> {
      return executor.run(getClientByName, checkName(name), options);
    },

    /** A page of clients, ordered by name. */
    list,

    /** Every client, ordered by name, a page at a time. */
    listAll(options?: CallOptions): AsyncGenerator<Client, void, undefined> {
      return everyItem(async (page) => {
        const { clients: items, nextCursor } = await list(page);
        return { items, nextCursor };
      }, options);
    },

    /** How many clients there are. */
    async count(options?: CallOptions): Promise<number> {
      return executor.run(countClients, null, options);
    },

    /**
     * Gives a client another name.
     * @throws {NotFoundError} when the client does not exist
     * @throws {DuplicateClientError} when the name belongs to another id
     */
    async rename(id: IdInput, name: string, options?: CallOptions): Promise<Client> {
      return executor.run(renameClient, { id: checkId(id, 'id'), name: checkName(name) }, options);
    },

    /**
     * Records when a client was heard of: now, or at `when`.
     * @throws {NotFoundError} when the client does not exist
     */
    async touch(id: IdInput, when?: DateInput | null, options?: CallOptions): Promise<Client> {
      const seen = optional(when, (value) => checkDate(value, 'when'));
      return executor.run(touchClient, { id: checkId(id, 'id'), when: seen }, options);
    },

    /**
     * Removes a client with its files, versions, quota and activity. Up to 5,000 files, and on `tx`, that is one
     * transaction. With more, the client is marked (`deleting: true`), loses its keys and reservations at once and takes no
     * saves; its files go in slices between the writes of others, and a deletion that a killed process left is finished by
     * the next one that opens the catalogue. What was removed before a signal fires stays removed; call it again to go on.
     * @returns how many files and bytes this call removed, and their contents that nothing names any more
     * @throws {NotFoundError} when the client does not exist
     */
    async delete(id: IdInput, options?: CallOptions): Promise<Deletion> {
      return deleteClient(executor, checkId(id, 'id'), { whole: inTransaction, ...options });
    },

    /**
     * The keys of a client; the only call that returns an AES key.
     * @throws {NotFoundError} when the client does not exist
     */
    async exportKeys(id: IdInput, options?: CallOptions): Promise<ClientKeys> {
      return executor.run(exportClientKeys, checkId(id, 'id'), options);
    },
  };
}

/** The calls of `db.clients`. */
export type Clients = ReturnType<typeof createClients>;
