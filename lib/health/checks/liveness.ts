/** Checks whether the catalogue works at all: only these checks can fail. */
import { DatabaseError, type ErrorCode } from '../../errors.ts';
import { reasonOf } from '../../runtime/thrown.ts';
import { type Case, check } from '../check.ts';
import { failure, type Issue, issueOf, warning } from '../issue.ts';
import { exceeds, found, inWords, judged, lacksConnection, pass, UNKNOWN } from '../verdict.ts';

const GONE = 'Stop writing and copy what is still readable; then restore the newest verified backup.';

/** A problem of the file in the file system; undefined without one. */
function fileIssue({ facts: { files }, memory: { opened } }: Case<'files'>): Issue<ErrorCode> | undefined {
  if (!('value' in files)) return 'error' in files ? { ...issueOf(files.error), severity: 'fail' } : undefined;
  const { identity } = files.value;
  if (identity === null) {
    return failure('CATALOG_NOT_FOUND', 'the file was removed or moved while it was open', GONE);
  }
  if (opened === null || identity === opened) return undefined;
  const message = 'another file has replaced the open one';
  return failure('CATALOG_NOT_FOUND', message, 'Saves go to the old file: close the catalogue.');
}

/** A second name that the file got while open: each name has its own log. */
function secondNameOf({ facts: { files } }: Case<'files'>): Issue<'HEALTH_SECOND_NAME'>[] {
  const second = 'value' in files ? files.value.secondName : null;
  if (second === null) return [];
  return [warning('HEALTH_SECOND_NAME', `${second.message}: changes of one are lost to the other`, second.hint)];
}

const database = check({
  name: 'database',
  json: 'database:size',
  type: 'datastore',
  unit: 'bytes',
  about: 'whether the file exists and can be read',
  ask: ['schema', 'files'],
  codes: { HEALTH_SECOND_NAME: 'the file of the catalogue is a mount point, or has several hard links' },
  judge: (state) => {
    const { schema, stats } = state.facts;
    if (stats.state !== 'open') return UNKNOWN;
    const issue = fileIssue(state);
    if (issue !== undefined) return found(null, issue);
    if ('unanswered' in schema && schema.unanswered === 'running') {
      const message = `the database did not answer within ${state.memory.deadlineMs} ms`;
      return found(null, failure('CATALOG_TIMEOUT', message, 'Another process has locked it, or the disk hangs.'));
    }
    if ('error' in schema && !lacksConnection(schema.error)) {
      return found(null, { ...issueOf(schema.error), severity: 'fail' });
    }
    const verdict = judged(schema, ({ bytes }) => pass(bytes));
    return { ...verdict, issues: [...verdict.issues, ...secondNameOf(state)] };
  },
});

type PoolIssue = Issue<ErrorCode | 'HEALTH_CONNECTION_LOST'>;

function poolIssues({ facts: { schema, stats }, memory }: Case<'schema'>): PoolIssue[] {
  const { readers } = stats;
  const issues: PoolIssue[] = [];
  const isCrowded = 'error' in schema && lacksConnection(schema.error);
  if (('unanswered' in schema && schema.unanswered === 'waiting') || isCrowded) {
    const isFull = readers.busy >= readers.size;
    const message = isFull
      ? `no reading connection became free within ${memory.deadlineMs} ms: all ${readers.size} are in use`
      : `no reading connection opened within ${memory.deadlineMs} ms`;
    const hint = isFull
      ? 'Wait for long reads and transactions, or raise poolSize.'
      : 'The machine is very busy, or the disk hangs.';
    issues.push(warning('CATALOG_POOL_EXHAUSTED', message, hint));
  }
  if (memory.refused > 0) {
    const message = `${memory.refused} calls were refused because too many were waiting`;
    issues.push(warning('CATALOG_POOL_EXHAUSTED', message, 'Slow down the callers, or raise poolSize or queueLimit.'));
  }
  if (memory.lost > 0) {
    const message = `${memory.lost} connections died in the last minutes`;
    issues.push(warning('HEALTH_CONNECTION_LOST', message, 'New ones replace them; the log says why they died.'));
  }
  return issues;
}

const pool = check({
  name: 'pool',
  json: 'connections:inUse',
  type: 'component',
  unit: 'connections',
  about: 'whether calls get a connection; how many read',
  ask: ['schema'],
  codes: { HEALTH_CONNECTION_LOST: 'a connection died in the last five minutes and was replaced' },
  judge: (state) => {
    const { stats } = state.facts;
    const inUse = stats.readers.busy;
    if (stats.state !== 'open') {
      return found(inUse, issueOf(new DatabaseError('CATALOG_CLOSED', `the database is ${stats.state}`)));
    }
    return found(inUse, ...poolIssues(state));
  },
});

function deadWriter({ facts: { writer }, memory: { deadlineMs } }: Case<'writer'>): Issue<ErrorCode> {
  if ('value' in writer) {
    const hint = 'Its calls were rolled back or are indeterminate; the log says why it died.';
    return failure('CATALOG_IO', 'the thread of the writer had died; another has replaced it', hint);
  }
  const died = 'the thread of the writer had died, and no other';
  if ('error' in writer) {
    return failure('CATALOG_IO', `${died} can be opened: ${reasonOf(writer.error)}`, GONE);
  }
  const hint = 'Check again: the machine may be very busy, or the disk may hang.';
  return failure('CATALOG_IO', `${died} was ready within ${deadlineMs} ms`, hint);
}

/** Codes of a living writer that cannot write now. */
const HELD: ReadonlySet<string> = new Set(['CATALOG_BUSY', 'CATALOG_TIMEOUT', 'CATALOG_POOL_EXHAUSTED']);

function heldWriter({ memory: { deadlineMs } }: Case<never>): Issue<ErrorCode> {
  const message = `the writer did not become free within ${deadlineMs} ms`;
  const hint = 'A long transaction, or another process, holds the write lock.';
  return warning('CATALOG_BUSY', message, hint);
}

function stuckWriter(requestMs: number): Issue<ErrorCode> {
  const message = `the writer has spent ${inWords(requestMs)} in one request, and nothing can be changed`;
  const hint =
    'Your own SQL or a trigger runs a statement that nothing can interrupt. If it does not end, restart the process.';
  return failure('CATALOG_TIMEOUT', message, hint);
}

const writer = check({
  name: 'writer',
  json: 'writer:alive',
  type: 'component',
  unit: null,
  about: 'whether the writer is alive and can write',
  ask: ['writer'],
  codes: {},
  judge: (state) => {
    const { stats, writer: probe } = state.facts;
    if (stats.state !== 'open') return UNKNOWN;
    if (state.memory.readOnly) return pass('read-only');
    if (stats.writers.open === 0) return found('dead', deadWriter(state));
    if ('value' in probe) return pass('alive');
    const { requestMs } = stats.writers;
    if (exceeds(requestMs, state.thresholds.writerRequestMs)) return found('stuck', stuckWriter(requestMs));
    if ('unanswered' in probe) return probe.unanswered === 'given up' ? UNKNOWN : found('held', heldWriter(state));
    const code = probe.error instanceof DatabaseError ? probe.error.code : 'CATALOG_IO';
    if (HELD.has(code)) return found('held', heldWriter(state));
    // The caller's transaction has the writer, so the writer is alive.
    return code === 'CATALOG_CONFLICT' ? pass('alive') : found('failing', issueOf(probe.error));
  },
});

export const LIVENESS = [database, pool, writer] as const;
