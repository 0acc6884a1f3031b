/**
 * The skeleton of a backup server on node:http alone: clients register, contents are uploaded to a folder, the catalogue
 * remembers them. It listens on the loopback address only and knows no log-in: put yours in front (see procedures.ts for
 * sessions). Run it with `node examples/server.ts [FOLDER]`; PORT chooses the port, 0 any free one. In your own project
 * import from 'backup-catalog'.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { crc32 } from 'node:zlib';
import { DatabaseError, DatabaseManager, type ErrorCode, healthCheck, QuotaExceededError } from '../lib/index.ts';

const RETRY_AFTER_SECONDS = 1;
const MAX_JSON_BYTES = 64 * 1024;

/** What a handler answers: JSON, or a file to send. */
type Answer = { readonly status: number; readonly body?: unknown; readonly sends?: string };

/** A request, taken apart. */
interface Call {
  readonly request: IncomingMessage;
  readonly id: string;
  readonly query: URLSearchParams;
}

type Handler = (call: Call) => Promise<Answer>;

/** HTTP's words for the errors a caller can cause; retryable ones are 503, any other is 500. */
const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  CATALOG_VALIDATION: 400,
  CATALOG_NOT_FOUND: 404,
  CATALOG_DUPLICATE_CLIENT: 409,
  CATALOG_CONFLICT: 409,
  CATALOG_QUOTA_EXCEEDED: 413,
  CATALOG_CHECKSUM_MISMATCH: 422,
};

/** Whoever asked wrongly in a way the catalogue never sees. */
class RequestError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > MAX_JSON_BYTES) throw new RequestError(413, `a body has at most ${MAX_JSON_BYTES} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch (error) {
    throw new RequestError(400, `the body is not JSON: ${error instanceof Error ? error.message : error}`);
  }
}

/** Writes an upload to the disk and learns size, CRC-32 and SHA-256 on the way. */
async function receive(request: IncomingMessage, path: string) {
  const started = performance.now();
  const hash = createHash('sha256');
  let fileSize = 0;
  let crc = 0;
  await pipeline(
    request,
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        fileSize += chunk.length;
        crc = crc32(chunk, crc);
        hash.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true }),
  );
  const transferDuration = performance.now() - started;
  const transferSpeed = fileSize / Math.max(transferDuration / 1000, 0.001);
  return { fileSize, crc, fileHash: hash.digest('hex'), transferDuration, transferSpeed };
}

/** Makes a name in a folder survive power loss, as `flush` does the content: before the catalogue says it is there. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  await folder.sync().finally(() => folder.close());
}

/** The handlers over an open catalogue. */
function createHandlers(db: DatabaseManager, storageDir: string): Readonly<Record<string, Handler>> {
  // An upload that cannot fit is refused before it is received; save decides again, for those that arrive together.
  async function refuseTooLarge({ request, id }: Call): Promise<void> {
    const quota = await db.quotas.get(id);
    if (quota === null) throw new RequestError(404, `client ${id} does not exist`);
    const requestedBytes = Number(request.headers['content-length'] ?? 0);
    const { quotaBytes, usedBytes, reservedBytes } = quota;
    if (quotaBytes === null || usedBytes + reservedBytes + requestedBytes <= quotaBytes) return;
    throw new QuotaExceededError({ quotaBytes, usedBytes, reservedBytes, requestedBytes });
  }

  async function upload(call: Call): Promise<Answer> {
    const originalPath = call.query.get('path') ?? '';
    await refuseTooLarge(call);
    const operationId = call.request.headers['idempotency-key']?.toString() ?? randomUUID();
    const pathName = join(storageDir, randomUUID());
    try {
      const facts = await receive(call.request, pathName);
      await syncFolder(storageDir);
      const file = { clientId: call.id, fileName: basename(originalPath), originalPath, pathName, ...facts };
      const save = () => db.files.save(file, { operationId });
      const saved = await save().catch((error) => {
        // It may be stored: with the same operationId a second call tells, and never stores twice.
        if (error instanceof DatabaseError && error.code === 'CATALOG_INDETERMINATE') return save();
        throw error;
      });
      // An upload that was repeated: the first one is stored, and its content is kept elsewhere.
      if (saved.file.pathName !== pathName) await rm(pathName);
      return { status: saved.created ? 201 : 200, body: saved };
    } catch (error) {
      const isUnknown = error instanceof DatabaseError && error.code === 'CATALOG_INDETERMINATE';
      if (!isUnknown) await rm(pathName, { force: true });
      throw error;
    }
  }

  // First the rows, then the contents that nothing names any more: a crash between the two costs disk space, never data.
  async function remove(deletion: Promise<{ readonly paths: readonly string[]; readonly bytes: number }>) {
    const { paths, bytes } = await deletion;
    await Promise.all(paths.map((path) => rm(path, { force: true })));
    return { status: 200, body: { bytes, contents: paths.length } };
  }

  const found = (body: object | null, what: string): Answer => {
    if (body === null) throw new RequestError(404, `${what} does not exist`);
    return { status: 200, body };
  };
  const page = ({ query }: Call) => ({ limit: Number(query.get('limit') ?? 100), cursor: query.get('cursor') });

  return {
    'GET /health': async () => {
      const body = await healthCheck(db);
      return { status: body.status === 'fail' ? 503 : 200, body };
    },
    'GET /clients': async (call) => ({ status: 200, body: await db.clients.list(page(call)) }),
    'POST /clients': async ({ request }) => {
      const { name } = await readJson(request);
      return { status: 201, body: await db.clients.save({ name: name as string }) };
    },
    'GET /clients/:id': async ({ id }) => found(await db.clients.get(id), `client ${id}`),
    'DELETE /clients/:id': ({ id }) => remove(db.clients.delete(id)),
    'GET /clients/:id/files': async (call) => ({ status: 200, body: await db.files.forClient(call.id, page(call)) }),
    'PUT /clients/:id/files': upload,
    'GET /files/:id': async ({ id }) => found(await db.files.get(id), `file ${id}`),
    'GET /files/:id/versions': async ({ id }) => ({ status: 200, body: await db.versions.list(id) }),
    'GET /files/:id/content': async ({ id }) => {
      const file = await db.files.get(id);
      if (file === null) throw new RequestError(404, `file ${id} does not exist`);
      return { status: 200, sends: file.pathName };
    },
    'DELETE /files/:id': ({ id }) => remove(db.files.delete(id)),
  };
}

/** The status and body that tell an error. */
function answerOf(error: unknown): Answer {
  if (error instanceof RequestError) return { status: error.status, body: { message: error.message } };
  if (!(error instanceof DatabaseError)) return { status: 500, body: { message: 'internal error' } };
  const { code, message, hint, retryable } = error;
  const status = retryable ? 503 : (STATUS[code] ?? 500);
  return { status, body: { code, message, hint, retryable } };
}

async function send(response: ServerResponse, { status, body, sends }: Answer): Promise<void> {
  if (sends !== undefined) {
    response.writeHead(status, { 'content-type': 'application/octet-stream' });
    await pipeline(createReadStream(sends), response);
    return;
  }
  const retry = status === 503 ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {};
  response.writeHead(status, { 'content-type': 'application/json', ...retry });
  response.end(`${JSON.stringify(body, (_, value) => (value?.type === 'Buffer' ? undefined : value))}\n`);
}

/** Finds the handler of a request: `GET /files/0123…/content` is `GET /files/:id/content`. */
async function handle(handlers: Readonly<Record<string, Handler>>, request: IncomingMessage): Promise<Answer> {
  const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://localhost');
  const [, collection, id = '', ...rest] = pathname.split('/');
  const route = [collection, ...(id === '' ? [] : [':id']), ...rest].join('/');
  const handler = handlers[`${request.method} /${route}`];
  if (handler === undefined) throw new RequestError(404, `there is no ${request.method} ${pathname}`);
  return handler({ request, id, query });
}

/** Opens the catalogue and serves it until the process is asked to end. */
async function main(folder: string, port: number): Promise<void> {
  const storageDir = join(folder, 'contents');
  await mkdir(storageDir, { recursive: true });
  const db = await DatabaseManager.open({ database: join(folder, 'catalog.db'), storageDir });
  const handlers = createHandlers(db, storageDir);

  const server = createServer(async (request, response) => {
    try {
      await send(response, await handle(handlers, request).catch(answerOf));
    } catch (error) {
      console.error(error);
      response.destroy();
    }
  });
  server.listen(port, '127.0.0.1', () => {
    const address = server.address();
    if (typeof address === 'object') console.log(`listening on http://127.0.0.1:${address?.port}`);
  });

  // First no new requests, then those under way, then the catalogue, which waits for what it has accepted.
  const stop = () => {
    server.close(() => void db.close());
    server.closeIdleConnections();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
}

await main(process.argv[2] ?? 'server-data', Number(process.env['PORT'] ?? 8080));
