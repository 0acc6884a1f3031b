/**
 * A plain in-memory catalogue that obeys the same contract as the real one, written from the contract and as simply as
 * it can be: what random histories are compared with. Errors are thrown as `{ code }`.
 */

type Facts = Record<string, unknown> & { pathName: string; fileSize: number };

interface ModelVersion {
  readonly number: number;
  facts: Facts;
  readonly operationId: string | null;
}

interface ModelFile {
  readonly id: string;
  readonly clientId: string;
  readonly fileName: string;
  readonly originalPath: string | null;
  readonly extension: string | null;
  current: number;
  highest: number;
  versions: ModelVersion[];
}

interface ModelClient {
  name: string;
  publicKey: Uint8Array | null;
  aesKey: Uint8Array | null;
  quotaBytes: number | null;
  warningThreshold: number;
}

interface ModelCategory {
  name: string;
  description: string | null;
  color: string | null;
  defaultPath: string | null;
  extensions: string[];
}

const FACTS = [
  'pathName',
  'fileSize',
  'modificationDate',
  'crc',
  'verified',
  'category',
  'mimeType',
  'fileHash',
  'transferDuration',
  'transferSpeed',
  'compressionRatio',
] as const;

const BUILT_IN: Readonly<Record<string, string>> = {
  document: 'Texts, spreadsheets, presentations and books',
  image: 'Images and photographs',
  video: 'Films and recordings',
  audio: 'Music and sound',
  archive: 'Archives and packages',
  code: 'Source code, scripts and web pages',
  data: 'Data, settings and databases',
  other: 'Everything else',
};

/** What the extensions the histories use are derived to. */
const DERIVED: Readonly<Record<string, readonly [category: string, mimeType: string | null]>> = {
  txt: ['document', 'text/plain'],
  jpg: ['image', 'image/jpeg'],
  zip: ['archive', 'application/zip'],
  foo: ['other', null],
};

const fail = (code: string): never => {
  throw Object.assign(new Error(code), { code: `CATALOG_${code}` });
};

const derive = (extension: string | null) => DERIVED[extension ?? ''] ?? (['other', null] as const);

export class CatalogModel {
  #clients = new Map<string, ModelClient>();
  #files = new Map<string, ModelFile>();
  #categories = new Map<string, ModelCategory>(
    Object.entries(BUILT_IN).map(([name, description]) => [
      name,
      { name, description, color: '#007acc', defaultPath: null, extensions: [] },
    ]),
  );
  #unchanged = new Map<string, { fileId: string; version: number }>();
  /** The quota each operation answered with. */
  #answered = new Map<string, unknown>();
  #attempts = { files: 0, bytes: 0, successes: 0, failures: 0 };
  readonly #defaultQuota: number | null;

  constructor(defaultQuota: number | null) {
    this.#defaultQuota = defaultQuota;
  }

  /** A copy to go back to. */
  snapshot(): () => void {
    const saved = structuredClone({
      clients: this.#clients,
      files: this.#files,
      categories: this.#categories,
      unchanged: this.#unchanged,
      answered: this.#answered,
      attempts: this.#attempts,
    });
    return () => {
      this.#clients = saved.clients;
      this.#files = saved.files;
      this.#categories = saved.categories;
      this.#unchanged = saved.unchanged;
      this.#answered = saved.answered;
      this.#attempts = saved.attempts;
    };
  }

  readonly attempts = () => ({ ...this.#attempts });

  readonly #client = (id: string): ModelClient => this.#clients.get(id) ?? fail('NOT_FOUND');
  readonly #file = (id: string): ModelFile => this.#files.get(id) ?? fail('NOT_FOUND');
  readonly #filesOf = (clientId: string) => [...this.#files.values()].filter((file) => file.clientId === clientId);
  readonly #used = (clientId: string) =>
    this.#filesOf(clientId)
      .flatMap(({ versions }) => versions)
      .reduce((sum, { facts }) => sum + facts.fileSize, 0);

  readonly #showClient = (id: string) => {
    const { name, publicKey, aesKey } = this.#client(id);
    return { id, name, publicKey, hasKey: aesKey !== null };
  };

  readonly #showFile = (file: ModelFile) => {
    const version = file.versions.find(({ number }) => number === file.current) ?? fail('NO_VERSION');
    const { id, clientId, fileName, originalPath, extension, current } = file;
    return { id, clientId, fileName, originalPath, extension, version: current, ...version.facts };
  };

  readonly #showVersion = (file: ModelFile, { number, facts }: ModelVersion) => ({
    fileId: file.id,
    versionNumber: number,
    isActive: number === file.current,
    ...facts,
  });

  readonly #quota = (clientId: string) => {
    const { quotaBytes, warningThreshold } = this.#client(clientId);
    return { clientId, quotaBytes, usedBytes: this.#used(clientId), reservedBytes: 0, warningThreshold };
  };

  readonly #assertNameFree = (name: string, id: string | null) => {
    for (const [other, client] of this.#clients) if (client.name === name && other !== id) fail('DUPLICATE_CLIENT');
  };

  readonly #removed = (files: readonly ModelFile[]) => {
    const versions = files.flatMap((file) => file.versions);
    for (const { id } of files) {
      this.#files.delete(id);
      for (const [operation, { fileId }] of this.#unchanged) if (fileId === id) this.#unchanged.delete(operation);
    }
    const named = new Set(
      [...this.#files.values()].flatMap((file) => file.versions.map(({ facts }) => facts.pathName)),
    );
    const paths = [...new Set(versions.map(({ facts }) => facts.pathName))].filter((path) => !named.has(path));
    return {
      deleted: files.length,
      bytes: versions.reduce((sum, { facts }) => sum + facts.fileSize, 0),
      paths: paths.sort(),
    };
  };

  readonly clients = {
    save: (input: { id: string; name: string; publicKey?: Uint8Array | null; aesKey?: Uint8Array | null }) => {
      this.#assertNameFree(input.name, input.id);
      const stored = this.#clients.get(input.id);
      const keep = <Key extends 'publicKey' | 'aesKey'>(key: Key) =>
        input[key] === undefined ? (stored?.[key] ?? null) : (input[key] ?? null);
      this.#clients.set(input.id, {
        name: input.name,
        publicKey: keep('publicKey'),
        aesKey: keep('aesKey'),
        quotaBytes: stored === undefined ? this.#defaultQuota : stored.quotaBytes,
        warningThreshold: stored?.warningThreshold ?? 0.8,
      });
      return this.#showClient(input.id);
    },
    get: (id: string) => (this.#clients.has(id) ? this.#showClient(id) : null),
    getByName: (name: string) => {
      const found = [...this.#clients].find(([, client]) => client.name === name);
      return found === undefined ? null : this.#showClient(found[0]);
    },
    rename: (id: string, name: string) => {
      this.#client(id);
      this.#assertNameFree(name, id);
      this.#client(id).name = name;
      return this.#showClient(id);
    },
    touch: (id: string, _when: string) => {
      this.#client(id);
      return this.#showClient(id);
    },
    exportKeys: (id: string) => {
      const { publicKey, aesKey } = this.#client(id);
      return { publicKey, aesKey };
    },
    delete: (id: string) => {
      this.#client(id);
      const removed = this.#removed(this.#filesOf(id));
      this.#clients.delete(id);
      return removed;
    },
    count: () => this.#clients.size,
    list: () => ({
      clients: [...this.#clients.keys()].map(this.#showClient).sort((a, b) => (a.name < b.name ? -1 : 1)),
      nextCursor: null,
    }),
  };

  readonly files = {
    save: (
      input: Facts & { id: string; clientId: string; fileName: string; originalPath?: string | null },
      { ifChanged = false, operationId = null }: { ifChanged?: boolean; operationId?: string | null } = {},
    ) => {
      const { id, clientId, fileName, originalPath: path, ...given } = input;
      const originalPath = path || null;
      const isSame = (file: ModelFile) =>
        file.clientId === clientId && file.fileName === fileName && file.originalPath === originalPath;
      for (const file of this.#files.values()) {
        const earlier = file.versions.find((version) => operationId !== null && version.operationId === operationId);
        if (earlier === undefined) continue;
        if (!isSame(file)) fail('CONFLICT');
        return this.#again(operationId, { ...file, current: earlier.number }, earlier.number === 1, true);
      }
      const unchanged = this.#unchanged.get(operationId ?? '');
      const known = this.#files.get(unchanged?.fileId ?? '');
      if (unchanged !== undefined && known !== undefined) {
        if (!isSame(known)) fail('CONFLICT');
        return this.#again(operationId, { ...known, current: unchanged.version }, false, false);
      }
      const client = this.#client(clientId);
      const stored = [...this.#files.values()].find(isSame);
      if (stored !== undefined && ifChanged && this.#isUnchanged(stored, given)) {
        if (operationId !== null) this.#unchanged.set(operationId, { fileId: stored.id, version: stored.current });
        return this.#first(operationId, this.#saved(stored, false, false));
      }
      if (client.quotaBytes !== null && this.#used(clientId) + given.fileSize > client.quotaBytes)
        fail('QUOTA_EXCEEDED');
      if (stored === undefined && this.#files.has(id)) fail('CONFLICT');
      const extension = /^.+\.([^.]+)$/.exec(fileName)?.[1] ?? null;
      const file = stored ?? { id, clientId, fileName, originalPath, extension, current: 0, highest: 0, versions: [] };
      this.#files.set(file.id, file);
      file.highest += 1;
      file.current = file.highest;
      file.versions.push({ number: file.highest, facts: this.#facts(given, extension), operationId });
      this.#attempts.files += 1;
      this.#attempts.successes += 1;
      this.#attempts.bytes += given.fileSize;
      return this.#first(operationId, this.#saved(file, stored === undefined, true));
    },
    get: (id: string) => {
      const file = this.#files.get(id);
      return file === undefined ? null : this.#showFile(file);
    },
    find: (clientId: string, fileName: string, originalPath?: string | null) => {
      const found = this.#filesOf(clientId).find(
        (file) => file.fileName === fileName && file.originalPath === (originalPath || null),
      );
      return found === undefined ? null : this.#showFile(found);
    },
    forClient: (clientId: string) => ({
      files: this.#filesOf(clientId)
        .map(this.#showFile)
        .sort((a, b) => {
          const [left, right] = [a, b].map(({ fileName, originalPath }) => `${fileName}\0${originalPath ?? ''}`);
          return (left ?? '') < (right ?? '') ? -1 : 1;
        }),
      nextCursor: null,
    }),
    verify: (id: string, { crc = null }: { crc?: number | null } = {}) => {
      const file = this.#file(id);
      const version = file.versions.find(({ number }) => number === file.current) ?? fail('NO_VERSION');
      const known = version.facts['crc'];
      if (crc !== null && known !== null && known !== crc) fail('CHECKSUM_MISMATCH');
      version.facts = { ...version.facts, verified: true, crc: crc ?? known };
      return this.#showFile(file);
    },
    recordFailure: ({ clientId }: { clientId: string }) => {
      this.#client(clientId);
      this.#attempts.files += 1;
      this.#attempts.failures += 1;
      return undefined;
    },
    delete: (id: string) => this.#removed([this.#file(id)]),
    count: () => this.#files.size,
    totalBytes: () => [...this.#files.values()].reduce((sum, file) => sum + Number(this.#showFile(file).fileSize), 0),
  };

  readonly #isUnchanged = (file: ModelFile, given: Facts) => {
    const current: Facts = this.#showFile(file);
    return ['fileSize', 'modificationDate', 'crc'].every(
      (key) => given[key] === undefined || given[key] === null || given[key] === current[key],
    );
  };

  readonly #facts = (given: Facts, extension: string | null): Facts => {
    const [derivedCategory, derivedType] = derive(extension);
    const claimed = [...this.#categories.values()].find(({ extensions }) => extensions.includes(extension ?? ''));
    const facts = Object.fromEntries(FACTS.map((key) => [key, given[key] ?? null])) as Facts;
    return {
      ...facts,
      verified: given['verified'] ?? false,
      category: given['category'] ?? claimed?.name ?? derivedCategory,
      mimeType: given['mimeType'] ?? derivedType,
    };
  };

  readonly #saved = (file: ModelFile, created: boolean, changed: boolean) => {
    const { quotaBytes, usedBytes, warningThreshold } = this.#quota(file.clientId);
    const warning = quotaBytes !== null && usedBytes >= quotaBytes * warningThreshold;
    return {
      file: this.#showFile(file),
      version: file.current,
      created,
      changed,
      quota: { quotaBytes, usedBytes, warning },
    };
  };

  readonly #first = (operationId: string | null, result: { quota: unknown }) => {
    if (operationId !== null) this.#answered.set(operationId, result.quota);
    return result;
  };

  /** A repeated operation answers with the quota of the first time. */
  readonly #again = (operationId: string | null, file: ModelFile, created: boolean, changed: boolean) => ({
    ...this.#saved(file, created, changed),
    quota: this.#answered.get(operationId ?? ''),
  });

  readonly versions = {
    list: (fileId: string) => {
      const file = this.#files.get(fileId);
      return file?.versions.map((version) => this.#showVersion(file, version)) ?? [];
    },
    get: (fileId: string, number: number) => {
      const file = this.#files.get(fileId);
      const version = file?.versions.find((candidate) => candidate.number === number);
      return file === undefined || version === undefined ? null : this.#showVersion(file, version);
    },
    activate: (fileId: string, number: number) => {
      const file = this.#file(fileId);
      if (!file.versions.some((version) => version.number === number)) fail('NOT_FOUND');
      file.current = number;
      return this.#showFile(file);
    },
  };

  readonly quotas = {
    get: (clientId: string) => (this.#clients.has(clientId) ? this.#quota(clientId) : null),
    set: (clientId: string, given: { quotaBytes: number | null; warningThreshold?: number }) => {
      const client = this.#client(clientId);
      client.quotaBytes = given.quotaBytes;
      client.warningThreshold = given.warningThreshold ?? client.warningThreshold;
      return this.#quota(clientId);
    },
  };

  readonly categories = {
    list: () =>
      [...this.#categories.values()]
        .map((category) => ({ ...category, extensions: [...category.extensions].sort() }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    save: (given: Partial<ModelCategory> & { name: string }) => {
      const fresh = { description: null, color: '#007acc', defaultPath: null, extensions: [] };
      const stored = this.#categories.get(given.name) ?? fresh;
      for (const other of this.#categories.values()) {
        const isTaken = other.extensions.some((extension) => given.extensions?.includes(extension));
        if (other.name !== given.name && isTaken) fail('CONFLICT');
      }
      const saved = { ...stored, ...given };
      this.#categories.set(given.name, saved);
      return { ...saved, extensions: [...saved.extensions].sort() };
    },
    delete: (name: string) => {
      if (name in BUILT_IN) fail('CONFLICT');
      if (!this.#categories.delete(name)) fail('NOT_FOUND');
      return undefined;
    },
    rederive: () => {
      let changed = 0;
      for (const file of this.#files.values()) {
        const version = file.versions.find(({ number }) => number === file.current) ?? fail('NO_VERSION');
        const [derivedCategory] = derive(file.extension);
        const claimed = [...this.#categories.values()].find(({ extensions }) =>
          extensions.includes(file.extension ?? ''),
        );
        const category = claimed?.name ?? derivedCategory;
        if (version.facts['category'] !== category) changed += 1;
        version.facts = { ...version.facts, category };
      }
      return { files: this.#files.size, changed };
    },
  };

  /** What statistics must say. */
  readonly statistics = () => {
    const files = [...this.#files.values()].map(this.#showFile) as (Facts & {
      clientId: string;
      extension: string | null;
    })[];
    const sum = (members: readonly Facts[]) => [
      members.length,
      members.reduce((total, { fileSize }) => total + fileSize, 0),
    ];
    const groups = (keyOf: (file: (typeof files)[number]) => unknown) =>
      Object.fromEntries(
        [...Map.groupBy(files, (file) => String(keyOf(file)))].map(([name, members]) => [name, sum(members)]),
      );
    const bands = [0, 1_024].map((min, place) => {
      const members = files.filter(({ fileSize }) => fileSize >= min && (place === 1 || fileSize < 1_024));
      return [min, ...sum(members)];
    });
    const clients = [...this.#clients].map(([id, { name }]) => [
      name,
      sum(files.filter(({ clientId }) => clientId === id)),
    ]);
    const used = [...this.#clients.keys()].reduce((total, id) => total + this.#used(id), 0);
    return {
      totals: [...sum(files), files.filter((file) => file['verified']).length],
      byCategory: groups((file) => file['category']),
      byExtension: groups(({ extension }) => extension),
      bySize: bands.filter(([, count]) => count !== 0),
      clients: Object.fromEntries(clients),
      today: [[...sum(files), used]],
    };
  };
}
