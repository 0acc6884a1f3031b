/**
 * Metrics of the catalogue itself: its contents, its files and its maintenance. Absent while the database does not
 * answer.
 */

import { MAINTENANCE_KINDS } from '../maintenance/history.ts';
import { SECOND_MS } from '../values/intervals.ts';
import { counter, each, gauge, known, type Metric, type MetricFacts, type Sample } from './metric-facts.ts';
import { type CatalogueFigures, type MaintenanceFigures, QUOTA_USES } from './metrics-procedures.ts';

type Values = readonly Sample<number>[];

/** Values that need the database. */
const told =
  (values: (catalogue: CatalogueFigures) => Values) =>
  ({ catalogue }: MetricFacts): Values =>
    catalogue === null ? [] : values(catalogue);

/** One value that needs the database. */
const number = (value: (catalogue: CatalogueFigures) => number | null) => told((catalogue) => known(value(catalogue)));

/** The counted kinds of maintenance; kinds that other programs wrote into the history are ignored. */
const KINDS: readonly string[] = MAINTENANCE_KINDS;

/** A value of the newest row of each counted kind. */
const newest = (counts: (row: MaintenanceFigures) => boolean, value: (row: MaintenanceFigures) => number) =>
  told(({ maintenance }) => {
    const rows = maintenance.filter((row) => KINDS.includes(row.kind) && counts(row)).reverse();
    return each('kind', Object.fromEntries(rows.map((row) => [row.kind, value(row)]))); // the newest row wins
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
    'Versions ever made, including removed ones',
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
    'Live reservations',
    [],
    number(({ reservations }) => reservations.count),
  ),
  gauge(
    'catalog_reserved_bytes',
    'Bytes held by reservations',
    [],
    number(({ reservations }) => reservations.bytes),
  ),
  gauge('catalog_database_bytes', 'Size of the database file', [], ({ files }) => known(files.databaseBytes)),
  gauge('catalog_wal_bytes', 'Size of the write-ahead log', [], ({ files }) => known(files.walBytes)),
  gauge('catalog_disk_free_bytes', 'Free disk space for the database and this user', [], ({ files }) =>
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
    'Free pages of the database',
    [],
    number(({ pages }) => pages.freePages),
  ),
  gauge(
    'catalog_maintenance_success_timestamp_seconds',
    'When the last successful work of this kind began',
    ['kind'],
    newest(succeeded, ({ startedAt }) => Date.parse(startedAt) / SECOND_MS),
  ),
  gauge(
    'catalog_maintenance_success_duration_seconds',
    'How long that work took',
    ['kind'],
    newest(succeeded, ({ durationMs }) => durationMs / SECOND_MS),
  ),
  gauge(
    'catalog_maintenance_failed',
    'Whether the last work of this kind failed or found a problem',
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
