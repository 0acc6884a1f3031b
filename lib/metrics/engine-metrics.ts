/**
 * Metrics of this process: calls, waits, commits, connections. Available in every state, even for a closed catalogue.
 */
import { ERROR_CODES } from '../errors.ts';
import type { CallFigures } from '../sql/call-log.ts';
import type { HistogramFigures } from '../sql/histogram.ts';
import { counter, counts, each, gauge, known, type Metric, type Sample, seconds } from './metric-facts.ts';

const total = ({ counts: buckets }: HistogramFigures) => buckets.reduce((sum, count) => sum + count, 0);

const NO_ERRORS = Object.fromEntries([...Object.keys(ERROR_CODES), 'other'].map((code) => [code, 0]));

const outcomesOf = ({ procedure, intent, ok, failed }: CallFigures): Sample<HistogramFigures>[] =>
  [
    { labels: { procedure, intent, outcome: 'ok' }, value: ok },
    { labels: { procedure, intent, outcome: 'error' }, value: failed },
  ].filter(({ value }) => total(value) > 0);

export const ENGINE_METRICS: readonly Metric[] = [
  gauge('catalog_up', 'Whether the catalogue is open and answered this scrape in time', [], ({ catalogue }) =>
    known(catalogue === null ? 0 : 1),
  ),
  gauge('catalog_opened_timestamp_seconds', 'When this process opened the catalogue', [], ({ openedAt }) =>
    known(openedAt),
  ),
  counter('catalog_saves_total', 'Committed saves of files, by what they did', ['result'], ({ saves }) =>
    each('result', { stored: saves.stored, unchanged: saves.unchanged }),
  ),
  counter('catalog_saved_bytes_total', 'Bytes of the files that committed saves stored', [], ({ saves }) =>
    known(saves.bytes),
  ),
  counter('catalog_quota_warnings_total', 'Saves that crossed a quota warning threshold', [], ({ saves }) =>
    known(saves.warnings),
  ),
  seconds(
    'catalog_procedure_duration_seconds',
    'Time from a call to its answer, including waiting; without calls that no connection answered',
    ['procedure', 'intent', 'outcome'],
    ({ log }) => log.calls.flatMap(outcomesOf),
  ),
  counter(
    'catalog_errors_total',
    'Calls and transactions that threw, without values refused before they reached the engine',
    ['code'],
    ({ log }) => each('code', { ...NO_ERRORS, ...log.failures }),
  ),
  counter('catalog_calls_total', 'Accepted calls, without those inside transactions', ['queue'], ({ stats }) =>
    each('queue', { reads: stats.reads.calls, writes: stats.writes.calls }),
  ),
  counter('catalog_calls_refused_total', 'Calls refused because the queue was full', ['queue'], ({ stats }) =>
    each('queue', { reads: stats.reads.refused, writes: stats.writes.refused }),
  ),
  counter(
    'catalog_calls_expired_total',
    'Calls that stopped waiting because of a timeout or signal',
    ['queue'],
    ({ stats }) => each('queue', { reads: stats.reads.expired, writes: stats.writes.expired }),
  ),
  gauge('catalog_queue_length', 'Calls that wait for a connection', ['queue'], ({ stats }) =>
    each('queue', { reads: stats.reads.waiting, writes: stats.writes.waiting }),
  ),
  seconds('catalog_wait_seconds', 'Time that calls, and transactions, waited for a connection', ['queue'], ({ log }) =>
    each('queue', log.waits),
  ),
  counts('catalog_batch_size', 'Reads that shared a snapshot', ({ log }) => [{ value: log.rounds.batch }]),
  counts('catalog_group_size', 'Writes that shared a commit', ({ log }) => [{ value: log.rounds.group }]),
  counter('catalog_commits_total', 'Commits of groups of writes, and of transactions', ['kind'], ({ log }) => {
    const transactions = log.transactions.filter(({ intent }) => intent === 'write');
    return each('kind', {
      group: total(log.rounds.group),
      transaction: transactions.reduce((sum, { committed }) => sum + total(committed), 0),
    });
  }),
  seconds(
    'catalog_transaction_duration_seconds',
    'Time that transactions over several calls held a connection',
    ['intent', 'outcome'],
    ({ log }) =>
      log.transactions.flatMap(({ intent, committed, rolledBack }) => [
        { labels: { intent, outcome: 'committed' }, value: committed },
        { labels: { intent, outcome: 'rolled_back' }, value: rolledBack },
      ]),
  ),
  gauge('catalog_transactions_open', 'Transactions over several calls that are under way', [], ({ stats }) =>
    known(stats.transactions.active),
  ),
  counter('catalog_transactions_expired_total', 'Transactions rolled back at their deadline', [], ({ stats }) =>
    known(stats.transactions.expired),
  ),
  gauge('catalog_connections', 'Open connections, by what they do', ['role', 'state'], ({ stats }) =>
    (['readers', 'writers'] as const).flatMap((role) => [
      { labels: { role, state: 'busy' }, value: stats[role].busy },
      { labels: { role, state: 'idle' }, value: stats[role].idle },
    ]),
  ),
  gauge(
    'catalog_oldest_reader_seconds',
    'How long the longest current use of a reader lasts; it keeps the log from shrinking',
    [],
    ({ stats }) => known(stats.readers.longestMs / 1_000),
  ),
  gauge('catalog_connections_limit', 'The greatest number of connections', ['role'], ({ stats }) =>
    each('role', { readers: stats.readers.size, writers: stats.writers.size }),
  ),
  counter('catalog_connections_opened_total', 'Connections opened', ['role'], ({ stats }) =>
    each('role', { readers: stats.readers.created, writers: stats.writers.created }),
  ),
  counter('catalog_connections_lost_total', 'Connections that died', ['role'], ({ stats }) =>
    each('role', { readers: stats.readers.lost, writers: stats.writers.lost }),
  ),
  counter(
    'catalog_statements_total',
    'Executed statements, by whether they were already prepared',
    ['cache'],
    ({ stats }) => each('cache', { hit: stats.statements.found, miss: stats.statements.prepared }),
  ),
  counter('catalog_before_commit_failures_total', 'Commits that postponed search index entries', [], ({ stats }) =>
    known(stats.beforeCommit.failures),
  ),
];
