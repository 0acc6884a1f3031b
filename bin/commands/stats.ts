/** `stats`: what the catalogue holds, in figures. */
import type { DatabaseManager } from '../../lib/index.ts';
import type { CommandSpec } from '../command.ts';
import { formatBytes, formatCount, formatDate, formatPart } from '../format.ts';
import { printJson, printLine, styled } from '../output.ts';
import { fields, table } from '../table.ts';

type Statistics = Awaited<ReturnType<DatabaseManager['analytics']['storage']>>;
type Section = readonly [title: string, text: string];

const FILES_AND_BYTES = [
  { title: 'FILES', align: 'right' },
  { title: 'SIZE', align: 'right' },
] as const;

interface Total {
  readonly files: number;
  readonly bytes: number;
}

function totals<Row extends Total>(title: string, rows: readonly Row[], label: (row: Row) => string): string {
  const cells = rows.map((row) => [label(row), formatCount(row.files), formatBytes(row.bytes)]);
  return table([{ title }, ...FILES_AND_BYTES], cells);
}

function overview({ databaseInfo, storageInfo, clientStats, fileStats }: Statistics): string {
  const { exists, bytes, measuredAt } = storageInfo;
  const measured = bytes === null ? 'not measured yet' : `${formatBytes(bytes)}, measured ${formatDate(measuredAt)}`;
  return fields([
    ['Database', databaseInfo.path],
    ['Size', `${formatBytes(databaseInfo.databaseBytes)}, ${formatBytes(databaseInfo.freeBytes)} of it free`],
    ['Write-ahead log', formatBytes(databaseInfo.walBytes)],
    ['Storage folder', `${storageInfo.path} (${exists ? measured : 'does not exist'})`],
    ['Clients', `${formatCount(clientStats.totalClients)}, ${formatCount(clientStats.activeClients)} of them active`],
    ['Files', `${formatCount(fileStats.totalFiles)}, ${formatPart(fileStats.verificationRate)} of them verified`],
    ['Bytes', `${formatBytes(fileStats.totalBytes)}, ${formatBytes(Math.round(fileStats.averageFileSize))} a file`],
  ]);
}

function sections(statistics: Statistics): Section[] {
  const { clientStats, fileStats } = statistics;
  return [
    ['Catalogue', overview(statistics)],
    ['Largest clients', totals('CLIENT', clientStats.topClients, ({ name }) => name)],
    ['By category', totals('CATEGORY', fileStats.byCategory, ({ name }) => name ?? '-')],
    ['By extension', totals('EXTENSION', fileStats.byExtension, ({ name }) => name ?? '(none)')],
    ['By size', totals('FROM', fileStats.bySize, ({ min }) => formatBytes(min))],
  ];
}

export const stats: CommandSpec = {
  name: 'stats',
  summary: 'Show statistics of clients, files and the database',
  example: 'stats --json',
  run: ({ json, withCatalog }) =>
    withCatalog(async (db) => {
      const statistics = await db.analytics.storage();
      if (json) printJson(statistics);
      else printLine(sections(statistics).map(toText).join('\n\n'));
      return 0;
    }),
};

const toText = ([title, text]: Section) => `${styled(['bold', 'underline'], title)}\n${text}`;
