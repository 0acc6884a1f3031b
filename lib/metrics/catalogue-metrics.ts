/** Metrics of the catalogue itself: what it holds, its files, and what was done for it. Absent while it cannot be asked. */

import { MAINTENANCE_KINDS } from '../maintenance/history.ts';
import { SECOND_MS } from '../values/intervals.ts';
import { counter, each, gauge, known, type Metric, type MetricFacts, type Sample } from './metric-facts.ts';
import { type CatalogueFigures, type MaintenanceFigures, QUOTA_USES } from './metrics-procedures.ts';

type Values = readonly Sample<number>[];

/** Values that only the database can tell. */
const told =
  (values: (catalogue: CatalogueFigures) => Values) =>
  ({ catalogue }: MetricFacts): Values =>
    catalogue === null ? [] : values(catalogue);

/** One value that only the database can tell. */
const number = (value: (catalogue: CatalogueFigures) => number | null) => told((catalogue) => known(value(catalogue)));

/** Work that is counted; what other programs wrote into the history is not. */
const KINDS: readonly string[] = MAINTENANCE_KINDS;

/** A value of the newest row of each kind, of those rows that count. */
const newest = (counts: (row: MaintenanceFigures) => boolean, value: (row: MaintenanceFigures) => number) =>
  told(({ maintenance }) => {
    const rows = maintenance.filter((row) => KINDS.includes(row.kind) && counts(row)).reverse();
    return each('kind', Object.fromEntries(rows.map((row) => [row.kind, value(row)]))); // the newest comes last and stays
  });

const succeeded = ({ ok }: MaintenanceFigures) => ok === 1;

export const CATALOGUE_METRICS: readonly Metric[] = [
  gauge(
    'catalog_info',
    'Always 1; the labels tell releases and databases apart',
    ['library_version', 'schema_version', 'database_id'],
    ({ catalogue, libraryVersion }) => {
      if (catalogue === null) return [];
      const { schemaVersion, databaseId } = catalogue;
      const labels = { schema_version: String(schemaVersion ?? ''), database_id: databaseId ?? '' };
      return [{ labels: { library_version: libraryVersion, ...labels }, value: 1 }];
    },
  ),
  gauge(
    'catalog_schema_version',
    'Version of the schema',
    [],
    number(({ schemaVersion }) => schemaVersion),
  ),
  gauge(
    'catalog_clients',
    'Clients',
    [],
    number(({ clients }) => clients),
  ),
  gauge(
    'catalog_files',
    'Files',
    [],
    number(({ files }) => files.files),
  ),
  gauge(
    'catalog_files_verified',
    'Files whose current version was verified',
    [],
    number(({ files }) => files.verified),
  ),
  gauge(
    'catalog_file_bytes',
    'Bytes of the current versions',
    [],
    number(({ files }) => files.bytes),
  ),
  gauge(
    'catalog_stored_bytes',
    'Bytes of every stored version',
    [],
    number(({ storedBytes }) => storedBytes),
  ),
  counter(
    'catalog_versions_created_total',
    'Versions ever made, those that are gone included',
    [],
    number(({ versionsCreated }) => versionsCreated),
  ),
  gauge(
    'catalog_quota_clients',
    'Clients by how much of their quota is used',
    ['use'],
    told(({ quotas }) => each('use', Object.fromEntries(QUOTA_USES.map((use) => [use, countOf(quotas, use)])))),
  ),
  gauge(
    'catalog_reservations',
    'Reservations that hold room',
    [],
    number(({ reservations }) => reservations.count),
  ),
  gauge(
    'catalog_reserved_bytes',
    'Bytes that reservations hold',
    [],
    number(({ reservations }) => reservations.bytes),
  ),
  gauge('catalog_database_bytes', 'Size of the database file', [], ({ files }) => known(files.databaseBytes)),
  gauge('catalog_wal_bytes', 'Size of the write-ahead log', [], ({ files }) => known(files.walBytes)),
  gauge('catalog_disk_free_bytes', "Room on the database's disk for this user", [], ({ files }) =>
    known(files.freeDiskBytes),
  ),
  gauge(
    'catalog_page_bytes',
    'Size of a page of the database',
    [],
    number(({ pages }) => pages.pageSize),
  ),
  gauge(
    'catalog_pages',
    'Pages of the database',
    [],
    number(({ pages }) => pages.pageCount),
  ),
  gauge(
    'catalog_pages_free',
    'Pages that hold nothing',
    [],
    number(({ pages }) => pages.freePages),
  ),
  gauge(
    'catalog_maintenance_success_timestamp_seconds',
    'When the last piece of work began that ended well',
    ['kind'],
    newest(succeeded, ({ startedAt }) => Date.parse(startedAt) / SECOND_MS),
  ),
  gauge(
    'catalog_maintenance_success_duration_seconds',
    'How long that piece of work took',
    ['kind'],
    newest(succeeded, ({ durationMs }) => durationMs / SECOND_MS),
  ),
  gauge(
    'catalog_maintenance_failed',
    'Whether the last piece of work failed, or found something wrong',
    ['kind'],
    newest(
      () => true,
      ({ ok }) => 1 - ok,
    ),
  ),
  gauge('catalog_backup_bytes', 'Size of the last verified backup, while it is there', [], ({ files }) =>
    known(files.backupBytes),
  ),
];

const countOf = (quotas: CatalogueFigures['quotas'], wanted: string) =>
  quotas.find(({ use }) => use === wanted)?.clients ?? 0;
