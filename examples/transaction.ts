/**
 * Several changes stored together or not at all, and what happens when one of them fails. Run it with
 * `node examples/transaction.ts [DATABASE]`. In your own project import from 'backup-catalog'.
 */
import { DatabaseError, DatabaseManager, type Transaction } from '../lib/index.ts';

const [, , database = 'transaction.db'] = process.argv;

await using db = await DatabaseManager.open({ database });

const taken = async (name: string) => (await db.clients.getByName(name)) !== null;
const nameOf = async (base: string) => {
  let name = base;
  for (let number = 2; await taken(name); number += 1) name = `${base}-${number}`;
  return name;
};

/** A client with its limit and first file. */
async function register(tx: Transaction, name: string, fileSize: number) {
  const client = await tx.clients.save({ name, publicKey: crypto.getRandomValues(new Uint8Array(160)) });
  await tx.quotas.set(client.id, { quotaBytes: 1_000_000, warningThreshold: 0.9 });
  await tx.files.save({ clientId: client.id, fileName: 'first.tar', pathName: `/srv/contents/${name}`, fileSize });
  return client;
}

// 1. Everything is stored. The transaction returns the callback's result once everything is committed.
const name = await nameOf('workstation');
const client = await db.transaction((tx) => register(tx, name, 400_000));
console.log(`${client.name} has ${(await db.quotas.get(client.id))?.usedBytes} bytes`);

// 2. Nothing is stored: the file does not fit, the callback throws, and the client is undone as well.
const refused = await nameOf('too-large');
try {
  await db.transaction((tx) => register(tx, refused, 2_000_000));
} catch (error) {
  if (!(error instanceof DatabaseError)) throw error;
  console.log(`${error.code}: ${error.message}`);
}
console.log(`${refused} exists: ${await taken(refused)}`);

// 3. If a call inside fails, only that call is undone. Catch its error, and the rest is stored.
const stored = await db.transaction(async (tx) => {
  const other = await tx.clients.save({ name: await nameOf('laptop') });
  await tx.clients.save({ name }).catch((error: DatabaseError) => console.log(`${error.code}: ${error.message}`));
  return other.name;
});
console.log(`${stored} exists: ${await taken(stored)}`);

// 4. The callback has the writer, so a change on `db` would wait for its own transaction: it is refused at once.
await db
  .transaction(async () => db.clients.save({ name: 'never' }))
  .catch((error: DatabaseError) => console.log(`${error.code}: ${error.hint}`));

// 5. A callback that takes too long is rolled back, so that it cannot stop every other writer.
await db
  .transaction(
    async (tx) => {
      await tx.clients.touch(client.id);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    },
    { timeoutMs: 50 },
  )
  .catch((error: DatabaseError) => console.log(`${error.code}: retryable ${error.retryable}`));
