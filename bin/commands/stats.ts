/** `stats`: shows what the catalogue holds and how it grew; charts on a terminal, plain numbers in a pipe. */
import type { DatabaseManager } from '../../lib/index.ts';
import { bar, sparkline } from '../charts.ts';
import type { CommandSpec } from '../command.ts';
import { formatBytes, formatCount, formatDate, formatPart } from '../format.ts';
import { printJson, printLine, styled } from '../output.ts';
import { type Column, fields, table } from '../table.ts';

type Analytics = DatabaseManager['analytics'];
type Statistics = Awaited<ReturnType<Analytics['storage']>>;
type TransferDays = Awaited<ReturnType<Analytics['transfers']>>;
type GrowthDays = Awaited<ReturnType<Analytics['growth']>>;
type Section = readonly [title: string, text: string];

/** The last days up to today; both series have the same days. */
interface History {
  readonly transfers: TransferDays;
  readonly growth: GrowthDays;
}

/** How to format figures. */
interface Style {
  readonly count: (count: number) => string;
  readonly bytes: (bytes: number) => string;
  /** A row's share of everything stored, 0 to 1, as its last cells. */
  readonly share: (part: number) => readonly string[];
  /** The titles of those cells. */
  readonly shareColumns: readonly Column[];
  readonly overview: (statistics: Statistics) => string;
  readonly history: (history: History) => string;
}

const DAYS = 30;
const BAR_WIDTH = 24; // columns
const right = (title: string): Column => ({ title, align: 'right' });

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

function overviewForPeople({ databaseInfo, storageInfo, clientStats, fileStats }: Statistics): string {
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

function overviewForPipes({ databaseInfo, storageInfo, clientStats, fileStats }: Statistics): string {
  return fields([
    ['Database', databaseInfo.path],
    ['Size', String(databaseInfo.databaseBytes)],
    ['Free in it', String(databaseInfo.freeBytes)],
    ['Write-ahead log', String(databaseInfo.walBytes)],
    ['Storage folder', storageInfo.path],
    ['Its size', storageInfo.bytes === null ? '-' : String(storageInfo.bytes)],
    ['Clients', String(clientStats.totalClients)],
    ['Active clients', String(clientStats.activeClients)],
    ['Files', String(fileStats.totalFiles)],
    ['Verified files', String(fileStats.verifiedFiles)],
    ['Bytes', String(fileStats.totalBytes)],
  ]);
}

/** Curves with their totals. */
function historyForPeople({ transfers, growth }: History): string {
  const done = transfers.map(({ successfulTransfers }) => successfulTransfers);
  const failed = transfers.map(({ failedTransfers }) => failedTransfers);
  const received = transfers.map(({ totalBytes }) => totalBytes);
  const stored = growth.map(({ usedBytes }) => usedBytes);
  const [first = 0, last = 0] = [stored.at(0), stored.at(-1)];
  const grown = `${last < first ? '-' : '+'}${formatBytes(Math.abs(last - first))}`;
  return fields([
    ['Transfers', `${sparkline(done)}  ${formatCount(sum(done))}`],
    ['Failed', `${sparkline(failed)}  ${formatCount(sum(failed))}`],
    ['Received', `${sparkline(received)}  ${formatBytes(sum(received))}`],
    ['Stored', `${sparkline(stored)}  ${formatBytes(last)}, ${grown}`],
  ]);
}

/** A line for each day. */
function historyForPipes({ transfers, growth }: History): string {
  const rows = transfers.map(({ date, successfulTransfers, failedTransfers, totalBytes }, place) =>
    [date, successfulTransfers, failedTransfers, totalBytes, growth[place]?.usedBytes ?? 0].map(String),
  );
  return table([{ title: 'DATE' }, ...['TRANSFERS', 'FAILED', 'RECEIVED', 'STORED'].map(right)], rows);
}

const FOR_PEOPLE: Style = {
  count: formatCount,
  bytes: formatBytes,
  share: (part) => [bar(BAR_WIDTH, [{ part, cell: '█' }]), formatPart(part)],
  shareColumns: [{ title: '' }, right('')],
  overview: overviewForPeople,
  history: historyForPeople,
};

const FOR_PIPES: Style = {
  count: String,
  bytes: String,
  share: () => [],
  shareColumns: [],
  overview: overviewForPipes,
  history: historyForPipes,
};

interface Total {
  readonly files: number;
  readonly bytes: number;
}

/** Groups of files with their sizes and shares. */
function totals<Row extends Total>(style: Style, all: number, rows: readonly Row[], label: (row: Row) => string) {
  return (title: string) => {
    const cells = rows.map((row) => [
      label(row),
      style.count(row.files),
      style.bytes(row.bytes),
      ...style.share(all === 0 ? 0 : row.bytes / all),
    ]);
    return table([{ title }, right('FILES'), right('SIZE'), ...style.shareColumns], cells);
  };
}

function sections(style: Style, statistics: Statistics, history: History): Section[] {
  const { clientStats, fileStats } = statistics;
  const of = <Row extends Total>(rows: readonly Row[], label: (row: Row) => string) =>
    totals(style, fileStats.totalBytes, rows, label);
  return [
    ['Catalogue', style.overview(statistics)],
    [`Last ${DAYS} days`, style.history(history)],
    ['Largest clients', of(clientStats.topClients, ({ name }) => name)('CLIENT')],
    ['By category', of(fileStats.byCategory, ({ name }) => name ?? '-')('CATEGORY')],
    ['By extension', of(fileStats.byExtension, ({ name }) => name ?? '(none)')('EXTENSION')],
    ['By size', of(fileStats.bySize, ({ min }) => style.bytes(min))('FROM')],
  ];
}

const toText = ([title, text]: Section) => `${styled(['bold', 'underline'], title)}\n${text}`;

export const stats: CommandSpec = {
  name: 'stats',
  summary: 'Show statistics of clients, files and the database; plain numbers in a pipe',
  example: 'stats --json',
  run: ({ json, withCatalog }) =>
    withCatalog(async ({ analytics }) => {
      const statistics = await analytics.storage();
      if (json) {
        printJson(statistics);
        return 0;
      }
      const growth = await analytics.growth({ days: DAYS });
      const [from, to] = [growth.at(0)?.date, growth.at(-1)?.date];
      const history = { growth, transfers: await analytics.transfers({ from, to }) };
      const style = process.stdout.isTTY ? FOR_PEOPLE : FOR_PIPES;
      printLine(sections(style, statistics, history).map(toText).join('\n\n'));
      return 0;
    }),
};
