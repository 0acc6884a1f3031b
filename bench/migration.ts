/**
 * Adopting a file of the Python server: how far the plan's estimate is off, whether progress is reported, and whether
 * readers of the same process continue meanwhile.
 */
import Database from 'better-sqlite3';
import { makeLegacyFile } from '../test/fixtures/legacy-file.ts';
import type { BenchSizes } from './arguments.ts';
import type { Workplace } from './catalogue.ts';
import { note } from './notes.ts';
import { type Figure, figure } from './report.ts';
import { quantile } from './statistics.ts';

const CLIENTS = 50;
const EXTENSIONS = ['pdf', 'jpg', 'docx', 'zip', 'log'];
const MOST_OFF = 1.5;
const MOST_READ_MS = 100;
const ID_BYTES = 16;
const GOLDEN = 2_654_435_761; // spreads ids like random ones

function idOf(number: number, kind: number): Buffer {
  const id = Buffer.alloc(ID_BYTES, kind);
  id.writeUInt32BE(Math.imul(number, GOLDEN) >>> 0, 0);
  id.writeUInt32BE(number, 4);
  return id;
}

/** Two rows for each transfer, as that server wrote them; one client in fifty does not exist. */
function fillLegacy(path: string, rows: number): void {
  const clients = Array.from({ length: CLIENTS }, (_, number) => ({
    ID: idOf(number, 1),
    Name: `client ${number}`,
    PublicKey: Buffer.alloc(160, number),
    LastSeen: '2025-06-01T08:38:41+00:00Z',
    AESKey: Buffer.alloc(32, number),
  }));
  makeLegacyFile(path, { version: 3, clients, files: [] });
  const database = new Database(path);
  database.pragma('foreign_keys = OFF');
  database.pragma('synchronous = OFF');
  database.pragma('cache_size = -262144');
  const insert = database.prepare(`INSERT INTO files (ID, FileName, PathName, Verified, FileSize, ModificationDate, CRC,
    ClientID) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
  database.exec('BEGIN');
  for (let number = 0; number < rows / 2; number += 1) {
    const name = `document_${number}.${EXTENSIONS[number % EXTENSIONS.length]}`;
    const date = `${new Date(1.73e12 + number * 31_000).toISOString().slice(0, -1)}123`;
    const shared = [(number * 4_099) % 5_000_000, date] as const;
    const client = idOf(number % (CLIENTS + 1), 1);
    insert.run(idOf(number, 2), name, `received_files\\${name}`, 0, ...shared, Math.imul(number, GOLDEN) >>> 0, client);
    insert.run(idOf(number, 3), name, `received_files\\${name}`, 1, ...shared, null, client);
  }
  database.exec('COMMIT');
  database.close();
}

/** Reads one after the other until told to stop; milliseconds each took. */
async function readMeanwhile(read: () => Promise<unknown>, isDone: () => boolean): Promise<number[]> {
  const took: number[] = [];
  while (!isDone()) {
    const start = performance.now();
    await read();
    took.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return took;
}

export async function migration({ files, rounds }: BenchSizes, workplace: Workplace): Promise<Figure[]> {
  const legacy = await workplace.kept(`legacy-${files}.db`, (path) => {
    note(`making a legacy file with ${files} rows …`);
    fillLegacy(path, files);
  });
  const seen = {
    off: [] as number[],
    estimated: [] as number[],
    took: [] as number[],
    told: [] as number[],
    reads: [] as number[],
  };
  for (let round = 0; round < Math.min(rounds, 3); round += 1) {
    const path = await workplace.copy({ path: legacy, clientIds: [], files });
    const migrations = await workplace.library.DatabaseManager.openMigrations({
      database: path,
      legacyTimeZone: 'Europe/Berlin',
      poolSize: 3,
    });
    const { estimatedMs } = await migrations.plan();
    let told = 0;
    let isDone = false;
    const start = performance.now();
    const reads = readMeanwhile(
      () => migrations.status(),
      () => isDone,
    );
    const onProgress = () => {
      told += 1;
    };
    await migrations.up({ onProgress });
    const took = performance.now() - start;
    isDone = true;
    seen.reads.push(quantile(await reads, 0.99));
    seen.off.push(Math.max(estimatedMs / took, took / estimatedMs));
    seen.took.push(took / 1_000);
    seen.estimated.push(estimatedMs / 1_000);
    seen.told.push(told);
    await migrations.close();
    await workplace.discard(path);
  }
  const line = (name: string, unit: string, values: readonly number[], target: Figure['target'] = null) =>
    figure('migration', `${files.toLocaleString('en-GB')} rows, ${name}`, unit, values, target);
  return [
    line('adoption', 's', seen.took),
    line('adoption as estimated', 's', seen.estimated),
    line('estimate and adoption apart', 'x', seen.off, { most: MOST_OFF }),
    line('times progress was told', '', seen.told),
    line('a read meanwhile, p99', 'ms', seen.reads, { most: MOST_READ_MS }),
  ];
}
