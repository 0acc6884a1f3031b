/**
 * Every error this library throws, in one table. The code says what happened, `retryable` whether repeating the call
 * may succeed, and `hint` what a person can do. Errors cross threads as plain data (`toWireError`) and become instances
 * of their class again (`reviveError`). No error holds a key or a value bound to a statement.
 */
import { hintOfCause } from './errors/hints.ts';

interface CodeFacts {
  readonly retryable: boolean;
  readonly hint: string;
}

const facts = (retryable: boolean, hint: string): CodeFacts => ({ retryable, hint });

/** Every error code with its defaults; the README's error table is checked against this one. */
export const ERROR_CODES = {
  CATALOG_VALIDATION: facts(false, 'Correct the value the message names; nothing was changed.'),
  CATALOG_NOT_FOUND: facts(false, 'Check the id; the row may have been deleted by someone else.'),
  CATALOG_DUPLICATE_CLIENT: facts(false, 'Choose another name, or pass the id of the client that has it.'),
  CATALOG_CONFLICT: facts(false, 'The change contradicts what is stored; read the current state and decide again.'),
  CATALOG_QUOTA_EXCEEDED: facts(false, "Raise the client's quota or prune old versions."),
  CATALOG_CHECKSUM_MISMATCH: facts(false, 'The content does not match the stored CRC: transfer the file again.'),
  CATALOG_BUSY: facts(true, 'Another process has the file locked; try again, or raise busyTimeoutMs.'),
  CATALOG_POOL_EXHAUSTED: facts(
    true,
    'Too many calls are waiting; slow down the callers, or raise poolSize or queueLimit.',
  ),
  CATALOG_TIMEOUT: facts(true, 'The call waited too long; try again, or raise acquireTimeoutMs.'),
  CATALOG_INDETERMINATE: facts(
    false,
    'The change may or may not have been stored; read the state back, or repeat the call with its operationId.',
  ),
  CATALOG_CLOSED: facts(false, 'The database was closed; open it again.'),
  CATALOG_FULL: facts(false, 'Free some disk space; the change was rolled back.'),
  CATALOG_IO: facts(false, 'The file system reported an error; check the disk, its mount and its permissions.'),
  CATALOG_CORRUPT: facts(false, 'Stop writing, keep the file unchanged and restore the newest verified backup.'),
  CATALOG_READ_ONLY: facts(false, 'The database is open read-only, or you may not write its file.'),
  CATALOG_FOREIGN_DATABASE: facts(false, 'The file is not a backup catalogue and was not changed; check the path.'),
  CATALOG_SCHEMA_NEWER: facts(false, 'The file was written by a newer release; upgrade this library.'),
  CATALOG_MIGRATION_PENDING: facts(false, "Run the migrations (CLI: `migrate`), or open with migrate: 'auto'."),
  CATALOG_MIGRATION_FAILED: facts(false, 'The database is unchanged; the cause says which step failed.'),
  CATALOG_DANGEROUS_OPERATION: facts(false, 'Declare the operation in the migration if the loss is intended.'),
  CATALOG_BACKUP_INVALID: facts(false, 'Choose another backup; this one failed verification.'),
  CATALOG_KEY: facts(false, 'Give the encryption key this catalogue was written with.'),
  CATALOG_SQL: facts(false, 'Correct the statement; it was not executed.'),
} as const satisfies Record<string, CodeFacts>;

/** One of the codes of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** What an error can hold besides its message. */
export interface ErrorOptions {
  /** The error that caused this one. */
  readonly cause?: unknown;
  /** Replaces the hint of the code. */
  readonly hint?: string;
  /** Replaces the `retryable` of the code. */
  readonly retryable?: boolean;
}

/** The base of all errors of this library; `code` is stable across releases, the message is not. */
export class DatabaseError extends Error {
  override name = 'DatabaseError';
  readonly code: ErrorCode;
  /** Whether the same call may succeed if repeated; the failed one changed nothing. */
  readonly retryable: boolean;
  /** One sentence for a person: what to do now. */
  readonly hint: string;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? ERROR_CODES[code].retryable;
    const surroundings = code === 'CATALOG_IO' ? hintOfCause(options.cause) : undefined;
    this.hint = options.hint ?? surroundings ?? ERROR_CODES[code].hint;
  }

  /** What `JSON.stringify` shows: code, message, retryable, hint and the error's own fields; no stack and no cause. */
  toJSON(): Record<string, unknown> {
    const { code, message, retryable, hint } = this;
    return { code, message, retryable, hint, ...plainFields(this) };
  }
}

/**
 * What was wrong with an input: the name of the field, what it received (never the content of a key) and what it
 * accepts.
 */
export interface ValidationFacts {
  readonly field: string;
  readonly received: string;
  readonly accepted: string;
}

/** A value that was refused before the call was queued. */
export class ValidationError extends DatabaseError {
  override name = 'ValidationError';
  readonly field: string;
  readonly received: string;
  readonly accepted: string;

  constructor({ field, received, accepted }: ValidationFacts, options?: ErrorOptions) {
    super('CATALOG_VALIDATION', `${field}: got ${received}; accepted: ${accepted}`, options);
    this.field = field;
    this.received = received;
    this.accepted = accepted;
  }
}

/** A change that named a row which does not exist. */
export class NotFoundError extends DatabaseError {
  override name = 'NotFoundError';
  constructor(what: string, options?: ErrorOptions) {
    super('CATALOG_NOT_FOUND', `${what} does not exist`, options);
  }
}

/** A client name that belongs to another id. */
export class DuplicateClientError extends DatabaseError {
  override name = 'DuplicateClientError';
  constructor(name: string, options?: ErrorOptions) {
    super('CATALOG_DUPLICATE_CLIENT', `the client name ${JSON.stringify(name)} is taken`, options);
  }
}

/** A change that contradicts the stored state, or a call that would deadlock on its own transaction. */
export class ConflictError extends DatabaseError {
  override name = 'ConflictError';
  constructor(message: string, options?: ErrorOptions) {
    super('CATALOG_CONFLICT', message, options);
  }
}

/** The figures of a refused save, all in bytes. */
export interface QuotaFigures {
  readonly quotaBytes: number;
  readonly usedBytes: number;
  readonly reservedBytes: number;
  readonly requestedBytes: number;
}

const QUOTA_HINTS = {
  tooLarge: "The file is larger than the client's whole quota: raise the quota.",
  reserved: "Wait for the running uploads to release their reservations, or raise the client's quota.",
};

/** The advice depends on whether pruning could ever make enough room. */
function quotaHint({ quotaBytes, usedBytes, requestedBytes }: QuotaFigures): string {
  if (requestedBytes > quotaBytes) return QUOTA_HINTS.tooLarge;
  return usedBytes + requestedBytes <= quotaBytes ? QUOTA_HINTS.reserved : ERROR_CODES.CATALOG_QUOTA_EXCEEDED.hint;
}

/** A save that would exceed the client's quota; nothing was written. */
export class QuotaExceededError extends DatabaseError {
  override name = 'QuotaExceededError';
  readonly quotaBytes: number;
  readonly usedBytes: number;
  readonly reservedBytes: number;
  readonly requestedBytes: number;

  constructor(figures: QuotaFigures, options?: ErrorOptions) {
    const { quotaBytes, usedBytes, reservedBytes, requestedBytes } = figures;
    const reserved = reservedBytes > 0 ? ` and ${reservedBytes} reserved` : '';
    super(
      'CATALOG_QUOTA_EXCEEDED',
      `${requestedBytes} bytes do not fit: ${usedBytes} of ${quotaBytes} bytes are used${reserved}`,
      { hint: quotaHint(figures), ...options },
    );
    this.quotaBytes = quotaBytes;
    this.usedBytes = usedBytes;
    this.reservedBytes = reservedBytes;
    this.requestedBytes = requestedBytes;
  }
}

/** Which statement of which migration was refused. */
export interface DangerousOperationFacts {
  readonly migration: string;
  readonly operation: string;
  readonly statement: string;
}

/** A statement of a migration that can lose data and is not declared; nothing was changed. */
export class DangerousOperationError extends DatabaseError {
  override name = 'DangerousOperationError';
  readonly migration: string;
  readonly operation: string;
  readonly statement: string;

  constructor({ migration, operation, statement }: DangerousOperationFacts, options?: ErrorOptions) {
    const message = `migration ${migration} holds an undeclared ${operation}: ${statement}`;
    super('CATALOG_DANGEROUS_OPERATION', message, options);
    this.migration = migration;
    this.operation = operation;
    this.statement = statement;
  }
}

/** A defect of this library: an invariant does not hold. It has no code, because no caller can fix it. */
export class InvariantError extends Error {
  override name = 'InvariantError';
  /** The invariant, in a few words. */
  readonly invariant: string;

  constructor(invariant: string, problem: string) {
    super(`${invariant}: ${problem}; please report this as a defect`);
    this.invariant = invariant;
  }
}

/** An error as data: a thread sends it, and the caller's side revives it. */
export interface WireError {
  readonly code: ErrorCode | null;
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly cause: WireError | undefined;
}

type Prototypes = ReadonlyMap<string, object>;

const prototypes = (...classes: { readonly name: string; readonly prototype: object }[]): Prototypes =>
  new Map(classes.map(({ name, prototype }) => [name, prototype]));

const OURS = prototypes(
  ValidationError,
  NotFoundError,
  DuplicateClientError,
  ConflictError,
  QuotaExceededError,
  DangerousOperationError,
);
const WITHOUT_CODE = prototypes(
  InvariantError,
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  URIError,
  EvalError,
);

const MAX_CAUSES = 8; // an error may be its own cause
const OWN_TEXT = new Set(['code', 'name', 'message', 'stack', 'cause']);

const isPlain = (value: unknown) => value === null || ['string', 'number', 'boolean'].includes(typeof value);

const plainFields = (error: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(error).filter(([key, value]) => !OWN_TEXT.has(key) && isPlain(value)));

/** A text property of an error; a getter of the application may throw instead. */
function textOf(read: () => unknown): string {
  try {
    return String(read());
  } catch {
    return 'a value without a text';
  }
}

/** Turns any thrown value into data that can cross a thread. */
export function toWireError(thrown: unknown, causes = MAX_CAUSES): WireError {
  const error = thrown instanceof Error ? thrown : new Error(textOf(() => thrown));
  const isOurs = error instanceof DatabaseError;
  const driverCode = !isOurs && 'code' in error && isPlain(error.code) ? { driverCode: error.code } : {};
  return {
    code: isOurs ? error.code : null,
    name: textOf(() => error.name),
    message: textOf(() => error.message),
    stack: textOf(() => error.stack ?? ''),
    fields: { ...plainFields(error), ...driverCode },
    cause: error.cause === undefined || causes === 0 ? undefined : toWireError(error.cause, causes - 1),
  };
}

/**
 * The inverse of {@link toWireError}: the same class, fields and cause; an error of another library keeps its name and
 * code.
 */
export function reviveError(wire: WireError): Error {
  const { driverCode, ...fields } = wire.fields;
  const cause = wire.cause === undefined ? undefined : { cause: reviveError(wire.cause) };
  const error = new Error(wire.message, cause);
  const [known, otherwise] = wire.code === null ? [WITHOUT_CODE, Error.prototype] : [OURS, DatabaseError.prototype];
  Object.setPrototypeOf(error, known.get(wire.name) ?? otherwise);
  Object.defineProperty(error, 'stack', { value: wire.stack, writable: true, configurable: true, enumerable: false });
  const code = wire.code ?? driverCode;
  const own = { ...fields, name: wire.name, ...(code === undefined ? {} : { code }) };
  for (const [key, value] of Object.entries(own)) {
    Object.defineProperty(error, key, { value, writable: true, configurable: true, enumerable: true });
  }
  return error;
}
