/**
 * A transaction over several calls, on the thread of its connection. Each writing call runs in a savepoint, so that the
 * callback can catch its failure and keep the rest.
 */
import { ConflictError } from '../errors.ts';
import type { Intent } from '../sql/procedure.ts';
import { BeforeCommit } from './before-commit.ts';
import type { Connection } from './connection.ts';
import { indeterminate } from './outcome.ts';
import type { Call } from './protocol.ts';
import { runInSavepoint } from './savepoint.ts';
import { classify, commitFailedCleanly } from './sqlite-errors.ts';

/** A transaction whose calls arrive one at a time. */
export class Transaction {
  readonly #connection: Connection;
  readonly #intent: Intent;
  readonly #suspendsForeignKeys: boolean;
  readonly #beforeCommit: BeforeCommit;
  #wrote = false;
  #lostBecause: unknown;

  /** @throws {DatabaseError} CATALOG_BUSY if another process keeps the write lock */
  constructor(connection: Connection, intent: Intent, suspendForeignKeys: boolean, beforeCommit = new BeforeCommit()) {
    this.#connection = connection;
    this.#intent = intent;
    this.#suspendsForeignKeys = suspendForeignKeys;
    this.#beforeCommit = beforeCommit;
    // Inside a transaction SQLite ignores this setting.
    if (suspendForeignKeys) connection.setForeignKeys(false);
    try {
      if (intent === 'write') connection.beginImmediate();
      else connection.control('BEGIN');
    } catch (error) {
      if (suspendForeignKeys) connection.setForeignKeys(true);
      throw error;
    }
  }

  run(call: Call): unknown {
    this.#assertAlive();
    try {
      return this.#intent === 'read' ? this.#connection.run(call, 'read') : this.#write(call);
    } catch (error) {
      if (!this.#connection.inTransaction) this.#lostBecause = error;
      throw error;
    }
  }

  #write(call: Call): unknown {
    try {
      return runInSavepoint(this.#connection, call);
    } finally {
      this.#wrote ||= this.#connection.wrote;
    }
  }

  /**
   * Ends the transaction. @throws {DatabaseError} the error of the commit, or the reason why SQLite had already rolled
   * back
   */
  end(commit: boolean): void {
    try {
      if (commit) this.#assertAlive();
      if (commit && this.#wrote) this.#beforeCommit.run(this.#connection);
      if (commit) this.#assertAlive();
      if (commit && this.#intent === 'write') this.#commit();
    } finally {
      this.#connection.rollback();
      if (this.#suspendsForeignKeys) this.#connection.setForeignKeys(true);
    }
  }

  #commit(): void {
    try {
      this.#connection.commit();
    } catch (error) {
      if (commitFailedCleanly(error)) throw classify(error);
      this.#connection.broken = true;
      throw indeterminate(error);
    }
  }

  #assertAlive(): void {
    if (this.#connection.inTransaction) return;
    throw new ConflictError('an earlier failure rolled the transaction back', {
      cause: this.#lostBecause,
      hint: 'Repeat the whole transaction; none of it was stored.',
    });
  }
}
