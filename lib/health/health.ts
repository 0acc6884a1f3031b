/**
 * Whether the catalogue is well: cheap checks that look at no rows, and on request SQLite's own checks of the whole
 * file. A health call never throws: what it could not find out is an issue of its report.
 */
import { DatabaseError } from '../errors.ts';
import type { Engine } from '../sql/engine.ts';
import { checkBoolean, checkObject, optional } from '../validation.ts';
import { checkForeignKeys, checkIntegrity, schemaFigures } from './health-procedures.ts';

export type HealthStatus = 'pass' | 'warn' | 'fail';

/** Something a person should know. */
export interface HealthIssue {
  readonly code: string;
  readonly severity: 'warn' | 'fail';
  readonly message: string;
  readonly hint: string;
}

/** What `health` reports. */
export interface HealthReport {
  readonly status: HealthStatus;
  /** The last verdict of integrity_check; null when it never ran. */
  readonly integrityCheck: boolean | null;
  /** The last verdict of foreign_key_check; null when it never ran. */
  readonly foreignKeyCheck: boolean | null;
  readonly tableCount: number | null;
  readonly indexCount: number | null;
  readonly databaseBytes: number | null;
  readonly connectionPoolHealthy: boolean;
  readonly issues: HealthIssue[];
  /** Every check that ran, and how it ended. */
  readonly checks: Readonly<Record<string, HealthStatus>>;
}

export interface HealthOptions {
  /** Check the whole file as well: seconds to minutes on a large one. Default false. */
  readonly full?: boolean | undefined;
}

const worst = (issues: readonly HealthIssue[]): HealthStatus => {
  if (issues.some(({ severity }) => severity === 'fail')) return 'fail';
  return issues.length > 0 ? 'warn' : 'pass';
};

const issueOf = (error: unknown): HealthIssue => ({
  code: error instanceof DatabaseError ? error.code : 'CATALOG_IO',
  severity: 'fail',
  message: error instanceof Error ? error.message : String(error),
  hint: error instanceof DatabaseError ? error.hint : 'Look at the cause in the log.',
});

/** One check after another, each with its verdict; a failing one does not stop the rest. */
class Examination {
  readonly issues: HealthIssue[] = [];
  readonly checks: Record<string, HealthStatus> = {};

  async check<Value>(name: string, look: () => Promise<Value>): Promise<Value | null> {
    try {
      const value = await look();
      this.checks[name] ??= 'pass';
      return value;
    } catch (error) {
      this.report(name, issueOf(error));
      return null;
    }
  }

  report(name: string, issue: HealthIssue): void {
    this.checks[name] = issue.severity;
    this.issues.push(issue);
  }
}

const HEALTH_KEYS = new Set(['full']);

function wantsFull(options: unknown, examination: Examination): boolean {
  try {
    return (
      optional(checkObject(options, 'options', HEALTH_KEYS)['full'], (full) => checkBoolean(full, 'full')) ?? false
    );
  } catch (error) {
    examination.report('options', { ...issueOf(error), severity: 'warn' });
    return false;
  }
}

/** Keeps the last verdicts of the full checks. */
export class Health {
  readonly #engine: Engine;
  #integrity: boolean | null = null;
  #foreignKeys: boolean | null = null;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Never throws: an option that is not accepted is an issue as well. */
  async examine(options: HealthOptions = {}): Promise<HealthReport> {
    const examination = new Examination();
    const full = wantsFull(options, examination);
    const schema = await examination.check('schema', () => this.#engine.run(schemaFigures, null));
    this.#checkPool(examination);
    if (full) await this.#checkFile(examination);
    return {
      status: worst(examination.issues),
      integrityCheck: this.#integrity,
      foreignKeyCheck: this.#foreignKeys,
      tableCount: schema?.tables ?? null,
      indexCount: schema?.indexes ?? null,
      databaseBytes: schema?.bytes ?? null,
      connectionPoolHealthy: examination.checks['pool'] === 'pass',
      issues: examination.issues,
      checks: examination.checks,
    };
  }

  #checkPool(examination: Examination): void {
    const { state, reads, writes } = this.#engine.stats();
    examination.checks['pool'] = 'pass';
    if (state !== 'open')
      examination.report('pool', issueOf(new DatabaseError('CATALOG_CLOSED', `the database is ${state}`)));
    const refused = reads.refused + writes.refused;
    if (refused === 0) return;
    examination.report('pool', {
      code: 'CATALOG_POOL_EXHAUSTED',
      severity: 'warn',
      message: `${refused} calls were refused because too many waited`,
      hint: 'Slow the callers down, or raise poolSize or queueLimit.',
    });
  }

  async #checkFile(examination: Examination): Promise<void> {
    const problems = await examination.check('integrity', () => this.#engine.run(checkIntegrity, null));
    if (problems !== null) this.#integrity = problems.length === 0;
    for (const message of problems ?? []) {
      const hint = 'Stop writing, keep the file as it is and restore the newest verified backup.';
      examination.report('integrity', { code: 'CATALOG_CORRUPT', severity: 'fail', message, hint });
    }
    const violations = await examination.check('foreignKeys', () => this.#engine.run(checkForeignKeys, null));
    if (violations === null) return;
    this.#foreignKeys = violations === 0;
    if (violations === 0) return;
    examination.report('foreignKeys', {
      code: 'CATALOG_CONFLICT',
      severity: 'warn',
      message: `${violations} rows name a row that does not exist`,
      hint: 'They were left by another program; they harm nothing that is backed up since.',
    });
  }
}
