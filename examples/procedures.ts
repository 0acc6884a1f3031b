/**
 * Your own tables without a fork: the procedures of sessions.ts, run by the catalogue's engine and in its commits. Run
 * it with `node examples/procedures.ts [DATABASE]`. In your own project import from 'backup-catalog'.
 */
import { createHash, randomBytes } from 'node:crypto';
import { DatabaseManager } from '../lib/index.ts';
import { createSessions, endExpired, findSession, openSession } from './sessions.ts';

const [, , database = 'procedures.db'] = process.argv;

await using db = await DatabaseManager.open({
  database,
  // A function cannot cross to a connection's thread, so the threads import the module themselves.
  procedureModules: [new URL('./sessions.ts', import.meta.url)],
});
await db.run(createSessions, null);

const client = (await db.clients.getByName('tablet')) ?? (await db.clients.save({ name: 'tablet' }));

const HOUR_MS = 3_600_000;
const hashOf = (token: string) => createHash('sha256').update(token).digest();
const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();

// Calls made while the writer is busy share the next commit, those of sessions and those of files alike. Each succeeds
// or fails on its own.
const tokens = Array.from({ length: 20 }, () => randomBytes(32).toString('base64url'));
const before = db.stats().writes.rounds;
await Promise.all([
  ...tokens.map((token, hour) =>
    db.run(openSession, { clientId: client.id, tokenHash: hashOf(token), expiresAt: inMs((hour - 5) * HOUR_MS) }),
  ),
  ...tokens.map((_, number) =>
    db.files.save({ clientId: client.id, fileName: `${number}.log`, pathName: `/srv/contents/${number}`, fileSize: 9 }),
  ),
]);
console.log(`40 changes, commits: ${db.stats().writes.rounds - before}`);

const clientOf = async (token = '') => (await db.run(findSession, hashOf(token)))?.clientId;
console.log(`a live token finds its client: ${(await clientOf(tokens.at(-1))) === client.id}`);
console.log(`an expired one finds: ${await clientOf(tokens.at(0))}`);

const ended = await db.run(endExpired, new Date().toISOString());
for (const { name, sessions } of ended) console.log(`${name}: ${sessions} sessions ended`);

// Inside a transaction, procedures join it like every other call.
const [unused = 0] = await db.transaction(async (tx) => {
  await tx.run(openSession, { clientId: client.id, tokenHash: randomBytes(32), expiresAt: inMs(HOUR_MS) });
  await tx.clients.delete(client.id);
  const rows = await tx.query('SELECT count(*) AS sessions FROM sessions');
  return rows.map(({ sessions }) => Number(sessions));
});
console.log(`sessions left after their client was deleted: ${unused}`);
