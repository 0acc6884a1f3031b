/**
 * Quotas, reservations, versions and statistics as plain lists: what random histories are compared with. Sums are taken
 * anew each time, reservations live until they are told to expire, and errors are thrown as `{ code }`.
 */
import type { RetentionPolicy } from '../lib/index.ts';
import { expectedReasons } from './retention-model.ts';

interface ModelVersion {
  readonly number: number;
  readonly path: string;
  readonly bytes: number;
  readonly iso: string;
}

interface ModelFile {
  readonly clientId: string;
  readonly name: string;
  current: number;
  highest: number;
  versions: ModelVersion[];
}

interface ModelReservation {
  readonly clientId: string;
  readonly bytes: number;
}

/** An attempt to transfer a file. */
interface ModelTransfer {
  readonly clientId: string;
  readonly bytes: number;
  readonly succeeded: boolean;
}

interface State {
  /** Every attempt ever, also of clients that are gone. */
  readonly transfers: ModelTransfer[];
  /** Those of clients that are there. */
  activity: ModelTransfer[];
  readonly quotas: Map<string, number | null>;
  readonly files: Map<string, ModelFile>;
  readonly reservations: Map<string, ModelReservation>;
  /** Contents that rows without a version name, by the client they belong to. */
  readonly bare: { readonly clientId: string; readonly path: string }[];
}

/** A file to save, with the date its version shall have. */
export interface ModelSave {
  readonly clientId: string;
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  readonly iso: string;
}

const fail = (code: string): never => {
  throw Object.assign(new Error(code), { code: `CATALOG_${code}` });
};

const sum = (values: readonly { readonly bytes: number }[]) => values.reduce((total, { bytes }) => total + bytes, 0);

const sumOf = (values: readonly { readonly bytes: number | null }[]) =>
  values.reduce((total, { bytes }) => total + (bytes ?? 0), 0);

const figures = (transfers: readonly ModelTransfer[]) => {
  const successes = transfers.filter(({ succeeded }) => succeeded);
  return {
    totalFiles: transfers.length,
    totalBytes: sum(successes),
    successfulTransfers: successes.length,
    failedTransfers: transfers.length - successes.length,
  };
};

export class QuotaModel {
  #state: State = {
    quotas: new Map(),
    files: new Map(),
    reservations: new Map(),
    bare: [],
    transfers: [],
    activity: [],
  };

  /** A way back to this state. */
  snapshot(): () => void {
    const saved = structuredClone(this.#state);
    return () => {
      this.#state = saved;
    };
  }

  #files(clientId: string): ModelFile[] {
    return [...this.#state.files.values()].filter((file) => file.clientId === clientId);
  }

  #used = (clientId: string) => sum(this.#files(clientId).flatMap(({ versions }) => versions));
  #reserved = (clientId: string) =>
    sum([...this.#state.reservations.values()].filter((held) => held.clientId === clientId));

  #assertFits(clientId: string, bytes: number): void {
    const quota = this.#state.quotas.get(clientId);
    if (quota === undefined) fail('NOT_FOUND');
    const wanted = this.#used(clientId) + this.#reserved(clientId) + bytes;
    if (quota !== null && wanted > Number(quota)) fail('QUOTA_EXCEEDED');
  }

  quota(clientId: string) {
    const quotaBytes = this.#state.quotas.get(clientId);
    if (quotaBytes === undefined) return null;
    return { clientId, quotaBytes, usedBytes: this.#used(clientId), reservedBytes: this.#reserved(clientId) };
  }

  saveClient(clientId: string, quotaBytes: number): void {
    if (!this.#state.quotas.has(clientId)) this.#state.quotas.set(clientId, quotaBytes);
  }

  setQuota(clientId: string, quotaBytes: number | null): void {
    if (!this.#state.quotas.has(clientId)) fail('NOT_FOUND');
    this.#state.quotas.set(clientId, quotaBytes);
  }

  save({ clientId, name, path, bytes, iso }: ModelSave): { version: number; usedBytes: number } {
    this.#assertFits(clientId, bytes);
    const key = `${clientId} ${name}`;
    const file = this.#state.files.get(key) ?? { clientId, name, current: 0, highest: 0, versions: [] };
    file.highest += 1;
    file.current = file.highest;
    file.versions.push({ number: file.highest, path, bytes, iso });
    this.#state.files.set(key, file);
    this.#transferred({ clientId, bytes, succeeded: true });
    return { version: file.highest, usedBytes: this.#used(clientId) };
  }

  #transferred(transfer: ModelTransfer): void {
    this.#state.transfers.push(transfer);
    this.#state.activity.push(transfer);
  }

  recordFailure(clientId: string, bytes: number): void {
    if (!this.#state.quotas.has(clientId)) fail('NOT_FOUND');
    this.#transferred({ clientId, bytes, succeeded: false });
  }

  /** Saves each as {@link save} does, past those that are refused. */
  saveMany(files: readonly ModelSave[]): { saved: number; refused: string[] } {
    const refused: string[] = [];
    for (const file of files) {
      try {
        this.save(file);
      } catch (error) {
        refused.push((error as { code: string }).code);
      }
    }
    return { saved: files.length - refused.length, refused };
  }

  /** Every file as it is now; a bare row has no bytes and no extension. */
  current(): { clientId: string; name: string; extension: string | null; bytes: number | null }[] {
    const saved = [...this.#state.files.values()].map(({ clientId, name, current, versions }) => ({
      clientId,
      name,
      extension: name.split('.')[1] ?? null,
      bytes: versions.find(({ number }) => number === current)?.bytes ?? fail('NO_VERSION'),
    }));
    const bare = this.#state.bare.map(({ clientId }) => ({ clientId, name: 'old', extension: null, bytes: null }));
    return [...saved, ...bare];
  }

  /** What each client stores, by id. */
  clients() {
    const files = this.current();
    return [...this.#state.quotas.keys()].sort().map((clientId) => {
      const theirs = files.filter((file) => file.clientId === clientId);
      const { quotaBytes, usedBytes } = this.quota(clientId) ?? fail('NOT_FOUND');
      return { clientId, files: theirs.length, bytes: sumOf(theirs), usedBytes, quotaBytes };
    });
  }

  /** Attempts: all there ever were, and those of each client that is there. */
  transfers() {
    const { transfers, activity } = this.#state;
    const byClient = Map.groupBy(activity, ({ clientId, succeeded }) => `${clientId} ${succeeded}`);
    return {
      all: figures(transfers),
      activity: Object.fromEntries([...byClient].sort().map(([key, some]) => [key, [some.length, sum(some)]])),
    };
  }

  activate(clientId: string, name: string, number: number): void {
    const file = this.#state.files.get(`${clientId} ${name}`);
    if (file?.versions.some((version) => version.number === number)) file.current = number;
    else fail('NOT_FOUND');
  }

  versions(clientId: string, name: string) {
    const file = this.#state.files.get(`${clientId} ${name}`);
    return file?.versions.map((version) => ({ ...version, isActive: version.number === file.current })) ?? [];
  }

  /** A row as an old server writes it. */
  addBare(clientId: string, path: string): void {
    if (!this.#state.quotas.has(clientId)) fail('CONFLICT');
    this.#state.bare.push({ clientId, path });
  }

  reserve(id: string, clientId: string, bytes: number): void {
    this.#assertFits(clientId, bytes);
    this.#state.reservations.set(id, { clientId, bytes });
  }

  isLive = (id: string) => this.#state.reservations.has(id);

  /** Also what expiry comes to. */
  release(id: string): void {
    this.#state.reservations.delete(id);
  }

  commit(id: string, file: ModelSave) {
    const back = this.snapshot();
    this.release(id);
    try {
      return this.save(file);
    } catch (error) {
      back();
      throw error;
    }
  }

  #freed(paths: readonly string[]): string[] {
    const named = new Set([
      ...[...this.#state.files.values()].flatMap(({ versions }) => versions.map(({ path }) => path)),
      ...this.#state.bare.map(({ path }) => path),
    ]);
    return [...new Set(paths)].filter((path) => !named.has(path)).sort();
  }

  deleteFile(clientId: string, name: string) {
    const key = `${clientId} ${name}`;
    const file = this.#state.files.get(key);
    if (file === undefined) return fail('NOT_FOUND');
    this.#state.files.delete(key);
    return { deleted: 1, bytes: sum(file.versions), paths: this.#freed(file.versions.map(({ path }) => path)) };
  }

  deleteClient(clientId: string) {
    if (!this.#state.quotas.delete(clientId)) fail('NOT_FOUND');
    const files = this.#files(clientId);
    const bare = this.#state.bare.filter((row) => row.clientId === clientId);
    for (const file of files) this.#state.files.delete(`${clientId} ${file.name}`);
    for (const row of bare) this.#state.bare.splice(this.#state.bare.indexOf(row), 1);
    this.#state.activity = this.#state.activity.filter((transfer) => transfer.clientId !== clientId);
    for (const [id, held] of this.#state.reservations) if (held.clientId === clientId) this.release(id);
    const versions = files.flatMap((file) => file.versions);
    const paths = this.#freed([...versions, ...bare].map(({ path }) => path));
    return { deleted: files.length + bare.length, bytes: sum(versions), paths };
  }

  /** Removes what the policy does not keep; tells it, and why the rest stays, by client, name and number. */
  prune(policy: RetentionPolicy, scope: { readonly clientId?: string; readonly name?: string }) {
    const { clientId, name } = scope;
    if (clientId !== undefined && !this.#state.quotas.has(clientId)) fail('NOT_FOUND');
    const meant = [...this.#state.files.values()].filter(
      (file) => (clientId ?? file.clientId) === file.clientId && (name ?? file.name) === file.name,
    );
    if (name !== undefined && meant.length === 0) fail('NOT_FOUND');
    const kept: Record<string, string[]> = {};
    const removed: ModelVersion[] = [];
    for (const file of meant) {
      const newestFirst = file.versions.toSorted((a, b) =>
        a.iso === b.iso ? b.number - a.number : a.iso < b.iso ? 1 : -1,
      );
      const reasons = expectedReasons(
        policy,
        newestFirst.map(({ iso, number }) => ({ iso, isActive: number === file.current })),
        new Date().toISOString(),
      );
      const goes = newestFirst.filter((_, place) => reasons[place]?.length === 0);
      for (const [place, version] of newestFirst.entries()) {
        if (!goes.includes(version)) kept[`${file.clientId} ${file.name} ${version.number}`] = reasons[place] ?? [];
      }
      file.versions = file.versions.filter((version) => !goes.includes(version));
      removed.push(...goes);
    }
    const result = {
      versions: removed.length,
      bytes: sum(removed),
      paths: this.#freed(removed.map(({ path }) => path)),
    };
    return { ...result, kept };
  }
}
