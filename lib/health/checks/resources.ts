/** Checks for shortages: connections, the write-ahead log, the disk. */
import { check } from '../check.ts';
import { warning } from '../issue.ts';
import { exceeds, found, inWords, judged, pass } from '../verdict.ts';

const queue = check({
  name: 'queue',
  json: 'calls:waiting',
  type: 'component',
  unit: 'calls',
  about: 'how many calls wait',
  ask: [],
  codes: { HEALTH_QUEUE_LONG: 'more than `waitingCalls` calls are waiting for a connection' },
  judge: ({ facts: { stats }, thresholds }) => {
    const { reads, writes } = stats;
    const longest = Math.max(reads.waiting, writes.waiting);
    if (!exceeds(longest, thresholds.waitingCalls)) return pass(longest);
    const message = `${reads.waiting} reads and ${writes.waiting} writes are waiting for a connection`;
    const hint = 'Slow down the callers, or find what holds the writer.';
    return found(longest, warning('HEALTH_QUEUE_LONG', message, hint));
  },
});

const wal = check({
  name: 'wal',
  json: 'wal:size',
  type: 'datastore',
  unit: 'bytes',
  about: 'the size of the write-ahead log',
  ask: ['files'],
  codes: { HEALTH_WAL_LARGE: 'the write-ahead log is larger than `walBytes`' },
  judge: ({ facts, thresholds }) =>
    judged(facts.files, ({ walBytes }) => {
      if (!exceeds(walBytes, thresholds.walBytes)) return pass(walBytes);
      const hint = 'A long read, in this process or another, keeps the log from being reused: let it finish.';
      return found(walBytes, warning('HEALTH_WAL_LARGE', `the write-ahead log has ${walBytes} bytes`, hint));
    }),
});

const readers = check({
  name: 'readers',
  json: 'readers:oldest',
  type: 'component',
  unit: 'ms',
  about: 'how long the oldest reader has been in use',
  ask: [],
  codes: { HEALTH_READER_OLD: 'a reading connection has been in use for longer than `oldestReaderMs`' },
  judge: ({ facts: { stats }, thresholds }) => {
    const oldest = Math.round(stats.readers.longestMs);
    if (!exceeds(stats.readers.longestMs, thresholds.oldestReaderMs)) return pass(oldest);
    const message = `a reading connection has been in use for ${inWords(oldest)}`;
    return found(oldest, warning('HEALTH_READER_OLD', message, 'The log grows meanwhile: read in smaller pages.'));
  },
});

const disk = check({
  name: 'disk',
  json: 'disk:free',
  type: 'system',
  unit: 'bytes',
  about: 'the free space of the disk',
  ask: ['freeBytes', 'files'],
  codes: { HEALTH_DISK_LOW: 'the disk has less free space than `freeDisk` times the database' },
  judge: ({ facts: { freeBytes, files }, thresholds: { freeDisk } }) =>
    judged(freeBytes, (free) => {
      const bytes = 'value' in files ? files.value.databaseBytes : 0;
      if (freeDisk === null || free >= bytes * freeDisk) return pass(free);
      const message = `${free} bytes are free, less than ${freeDisk} times the database (${bytes} bytes)`;
      return found(free, warning('HEALTH_DISK_LOW', message, 'Free some disk space: backups and migrations need it.'));
    }),
});

export const RESOURCES = [queue, wal, readers, disk] as const;
