/**
 * The skeleton of a backup server on node:http alone: clients register and upload contents to a folder; the catalogue
 * records them. It listens on the loopback address only and has no log-in: put yours in front (see procedures.ts for
 * sessions). Run it with `node examples/server.ts [FOLDER]`; PORT chooses the port, 0 any free one. In your own project
 * import from 'backup-catalog'.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream, type ReadStream, type WriteStream } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { basename, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { crc32 } from 'node:zlib';
import {
  DatabaseError,
  DatabaseManager,
  type Deletion,
  type ErrorCode,
  type FileInput,
  healthCheck,
  type Reservation,
  type SaveResult,
} from '../lib/index.ts';

const RETRY_AFTER_SECONDS = 1;
const MAX_JSON_BYTES = 64 * 1024;

/** The answer of a handler: JSON, or a content. */
type Answer = { readonly status: number; readonly body?: unknown; readonly content?: ReadStream };

/** A parsed request. */
interface Call {
  readonly request: IncomingMessage;
  readonly id: string;
  readonly query: URLSearchParams;
}

/** The HTTP status of the errors that a caller can cause; retryable errors are 503, all others 500. */
const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  CATALOG_VALIDATION: 400,
  CATALOG_NOT_FOUND: 404,
  CATALOG_DUPLICATE_CLIENT: 409,
  CATALOG_CONFLICT: 409,
  CATALOG_QUOTA_EXCEEDED: 413,
  CATALOG_CHECKSUM_MISMATCH: 422,
};

/** A bad request that never reaches the catalogue. */
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

/** Writes an upload to the disk and computes size, CRC-32 and SHA-256 on the way. */
async function receive(request: IncomingMessage, content: WriteStream) {
  const started = performance.now();
  const hash = createHash('sha256');
  let crc = 0;
  await pipeline(
    request,
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        crc = crc32(chunk, crc);
        hash.update(chunk);
        yield chunk;
      }
    },
    content,
  );
  const fileSize = content.bytesWritten;
  const transferDuration = performance.now() - started;
  const transferSpeed = fileSize / Math.max(transferDuration / 1000, 0.001);
  return { fileSize, crc, fileHash: hash.digest('hex'), transferDuration, transferSpeed };
}

/** Makes a name in a folder survive power loss, as `flush` does for the content, before the catalogue records it. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  await folder.sync().finally(() => folder.close());
}

const isIndeterminate = (error: unknown) => error instanceof DatabaseError && error.code === 'CATALOG_INDETERMINATE';

/** What every handler needs. */
interface Server {
  readonly db: DatabaseManager;
  readonly storageDir: string;
}

// An interrupted transfer is recorded, so that statistics and the client's activity show it.
async function receiveOrRecord({ db }: Server, { request, id: clientId }: Call, fileName: string, pathName: string) {
  const content = createWriteStream(pathName, { flags: 'wx', mode: 0o600, flush: true });
  try {
    return await receive(request, content);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    await db.files.recordFailure({ clientId, fileName, bytes: content.bytesWritten, reason });
    throw new RequestError(400, `the upload broke off: ${reason}`);
  }
}

async function saveOnce(room: Reservation, file: FileInput, operationId: string): Promise<SaveResult> {
  try {
    return await room.commit(file, { operationId });
  } catch (error) {
    if (!isIndeterminate(error)) throw error;
    // It may be stored: a second call with the same operationId finds out, and never stores twice.
    return room.commit(file, { operationId });
  }
}

async function upload(server: Server, call: Call): Promise<Answer> {
  const { request, id: clientId } = call;
  const originalPath = call.query.get('path') ?? '';
  const fileName = basename(originalPath);
  if (fileName === '') throw new RequestError(400, 'name the file: ?path=documents/report.pdf');
  // The server reserves room before it receives the content, so that concurrent uploads never count on the same bytes.
  // If the client announces no size, the save checks the quota.
  await using room = await server.db.quotas.reserve(clientId, Number(request.headers['content-length'] ?? 0));
  const pathName = join(server.storageDir, randomUUID());
  try {
    const facts = await receiveOrRecord(server, call, fileName, pathName);
    await syncFolder(server.storageDir);
    const operationId = request.headers['idempotency-key']?.toString() ?? randomUUID();
    const saved = await saveOnce(room, { clientId, fileName, originalPath, pathName, ...facts }, operationId);
    // A repeated upload: the first one is stored, with its content under another path.
    if (saved.file.pathName !== pathName) await rm(pathName);
    return { status: saved.created ? 201 : 200, body: saved };
  } catch (error) {
    // If the save may be stored, keep the content.
    if (!isIndeterminate(error)) await rm(pathName, { force: true });
    throw error;
  }
}

// Remove first the rows, then the contents that nothing names any more: a crash in between costs disk space, never
// data.
async function remove(deletion: Promise<Deletion>): Promise<Answer> {
  const { paths, bytes } = await deletion;
  await Promise.all(paths.map((path) => rm(path, { force: true })));
  return { status: 200, body: { bytes, contents: paths.length } };
}

function found<Row>(row: Row | null, what: string): Row {
  if (row === null) throw new RequestError(404, `${what} does not exist`);
  return row;
}

const page = ({ query }: Call) => ({ limit: Number(query.get('limit') ?? 100), cursor: query.get('cursor') });

async function register({ db }: Server, { request }: Call): Promise<Answer> {
  const { name, publicKey } = await readJson(request);
  const key = typeof publicKey === 'string' ? Buffer.from(publicKey, 'base64') : null;
  // The name may be any value: the catalogue checks it and says what it accepts.
  return { status: 201, body: await db.clients.save({ name: name as string, publicKey: key }) };
}

async function sendContent({ db }: Server, { id }: Call): Promise<Answer> {
  const { pathName } = found(await db.files.get(id), `file ${id}`);
  return { status: 200, content: (await open(pathName)).createReadStream() };
}

async function tellHealth({ db }: Server): Promise<Answer> {
  const body = await healthCheck(db);
  return { status: body.status === 'fail' ? 503 : 200, body };
}

const tell = async (body: Promise<unknown>): Promise<Answer> => ({ status: 200, body: await body });

const ROUTES: Readonly<Record<string, (server: Server, call: Call) => Promise<Answer>>> = {
  'GET /health': tellHealth,
  'POST /clients': register,
  'GET /clients': ({ db }, call) => tell(db.clients.list(page(call))),
  'GET /clients/:id': async ({ db }, { id }) => ({
    status: 200,
    body: found(await db.clients.get(id), `client ${id}`),
  }),
  'DELETE /clients/:id': ({ db }, { id }) => remove(db.clients.delete(id)),
  'PUT /clients/:id/files': upload,
  'GET /clients/:id/files': ({ db }, call) => tell(db.files.forClient(call.id, page(call))),
  'GET /files/:id': async ({ db }, { id }) => ({ status: 200, body: found(await db.files.get(id), `file ${id}`) }),
  'GET /files/:id/versions': ({ db }, { id }) => tell(db.versions.list(id)),
  'GET /files/:id/content': sendContent,
  'DELETE /files/:id': ({ db }, { id }) => remove(db.files.delete(id)),
};

/** The status and body that report an error. */
function answerOf(error: unknown): Answer {
  if (error instanceof RequestError) return { status: error.status, body: { message: error.message } };
  if (!(error instanceof DatabaseError)) return { status: 500, body: { message: 'internal error' } };
  const { code, message, hint, retryable } = error;
  const status = retryable ? 503 : (STATUS[code] ?? 500);
  return { status, body: { code, message, hint, retryable } };
}

async function send(response: ServerResponse, { status, body, content }: Answer): Promise<void> {
  if (content !== undefined) {
    response.writeHead(status, { 'content-type': 'application/octet-stream' });
    await pipeline(content, response);
    return;
  }
  const retry = status === 503 ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {};
  response.writeHead(status, { 'content-type': 'application/json', ...retry });
  const binary = (_: string, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
  response.end(`${JSON.stringify(body, binary)}\n`);
}

/** Finds the route of a request: `GET /files/0123…/content` is `GET /files/:id/content`. */
async function handle(server: Server, request: IncomingMessage): Promise<Answer> {
  const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://localhost');
  const [, collection, id = '', ...rest] = pathname.split('/');
  const path = [collection, ...(id === '' ? [] : [':id']), ...rest].join('/');
  const route = ROUTES[`${request.method} /${path}`];
  if (route === undefined) throw new RequestError(404, `there is no ${request.method} ${pathname}`);
  return route(server, { request, id, query });
}

/** Opens the catalogue and serves it until the process gets a signal to end. */
async function main(folder: string, port: number): Promise<void> {
  const storageDir = join(folder, 'contents');
  await mkdir(storageDir, { recursive: true });
  const db = await DatabaseManager.open({ database: join(folder, 'catalog.db'), storageDir });

  const server = createServer(async (request, response) => {
    try {
      await send(response, await handle({ db, storageDir }, request).catch(answerOf));
    } catch (error) {
      console.error(error);
      response.destroy();
    }
  });
  server.listen(port, '127.0.0.1', () => {
    const address = server.address();
    if (typeof address === 'object') console.log(`listening on http://127.0.0.1:${address?.port}`);
  });

  // First refuse new requests, then finish the running ones, then close the catalogue, which waits for accepted calls.
  const stop = () => {
    server.close(() => void db.close());
    server.closeIdleConnections();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
}

await main(resolve(process.argv[2] ?? 'server-data'), Number(process.env['PORT'] ?? 8080));
