/**
 * The process that bench/open.ts starts: opens a catalogue, gets one file, and reports what that took. Plain
 * JavaScript, so that Node's own figures include no type stripping.
 */
import process from 'node:process';

const [modulePath, database, fileId, connections] = process.argv.slice(2);
const SETTLE_MS = 300; // memory at rest, not in the middle of a collection
const MEGABYTE = 1e6;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function memory() {
  await pause(SETTLE_MS);
  return process.memoryUsage.rss() / MEGABYTE;
}

const SLOW = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000)
  SELECT count(*) AS count FROM n`;

/** A pool opens connections on demand: this demands all of them at once. */
async function openEveryConnection(db, wanted) {
  const deadline = performance.now() + 30_000;
  const open = () => db.stats().readers.open + db.stats().writers.open;
  while (open() < wanted && performance.now() < deadline) {
    await Promise.all(Array.from({ length: wanted }, () => db.query(SLOW)));
  }
  return open();
}

async function main() {
  if (modulePath === 'none') return { rss: await memory() };
  const start = performance.now();
  const { DatabaseManager } = await import(modulePath);
  const imported = performance.now();
  const db = await DatabaseManager.open({ database });
  const opened = performance.now();
  const found = await db.files.get(fileId);
  const answered = performance.now();
  if (found === null) throw new Error('the file is not there');
  const open = connections === undefined ? null : await openEveryConnection(db, Number(connections));
  const rss = connections === undefined ? null : await memory();
  await db.close();
  return { importMs: imported - start, openMs: opened - imported, answerMs: answered - imported, open, rss };
}

process.stdout.write(JSON.stringify(await main()));
