/**
 * The main job in one page: a client, a file, a second version of it, and what the catalogue then knows. Run it as
 * often as you like: `node examples/basic.ts [DATABASE]`. In your own project import from 'backup-catalog'.
 */
import { DatabaseManager, healthCheck } from '../lib/index.ts';

const [, , database = 'basic.db'] = process.argv;

// Closes itself at the end of the module, and waits for accepted calls.
await using db = await DatabaseManager.open({ database });
db.on('quota-warning', ({ clientId, usedBytes }) => console.log(`client ${clientId} now uses ${usedBytes} bytes`));

// A name belongs to one client: saving a taken name without its id is refused.
const client = (await db.clients.getByName('laptop')) ?? (await db.clients.save({ name: 'laptop' }));

const report = {
  clientId: client.id,
  fileName: 'report.pdf',
  originalPath: 'documents/report.pdf',
  pathName: '/srv/contents/7c/report-1', // where your server keeps the content
  fileSize: 48_213,
  modificationDate: '2026-03-01T09:00:00Z',
};
const first = await db.files.save(report);
console.log(`${first.file.fileName} is version ${first.version}, ${first.file.mimeType}, ${first.file.category}`);

// With ifChanged, the same size, date and CRC add nothing; a change adds a version.
const again = await db.files.save(report, { ifChanged: true });
const edited = { ...report, pathName: '/srv/contents/7c/report-2', fileSize: 51_002, crc: 0xcbf43926 };
const second = await db.files.save({ ...edited, modificationDate: new Date() }, { ifChanged: true });
console.log(`saved again: changed ${again.changed}; edited: changed ${second.changed}, version ${second.version}`);

// The content on the disk is what the client sent: a different CRC would throw CATALOG_CHECKSUM_MISMATCH.
await db.files.verify(second.file.id, { crc: 0xcbf43926 });

for (const { versionNumber, fileSize, isActive } of await db.versions.list(second.file.id)) {
  console.log(`  version ${versionNumber}: ${fileSize} bytes${isActive ? ', current' : ''}`);
}

const { total } = await db.files.search({ term: 'REPORT' });
const quota = await db.quotas.get(client.id);
const { status, totalClients, totalFiles } = await healthCheck(db);
console.log(`${total} match, ${quota?.usedBytes} of ${quota?.quotaBytes} bytes used`);
console.log(`health: ${status}, ${totalClients} client, ${totalFiles} file`);
