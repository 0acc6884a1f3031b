/**
 * Retention: `planPrune` says what a policy would remove and why the rest stays; `prune` does it. Both use the same
 * procedure, so on a quiet catalogue they agree to the byte. Neither holds the writer: planning reads in batches,
 * pruning uses one transaction per file.
 */
import type { CallOptions, Executor } from '../sql/engine.ts';
import { checkObject, checkSignal, optional, refuse } from '../validation.ts';
import { canonicalPath } from '../values/content-path.ts';
import { now } from '../values/dates.ts';
import { checkId, type IdInput } from '../values/ids.ts';
import type { Key } from '../values/pages.ts';
import type { Quota } from './quota-rows.ts';
import { checkPolicy, type RetentionPolicy, reasonsOf } from './retention-policy.ts';
import {
  type FilePlan,
  findFreed,
  findUnnamed,
  type Pruned,
  planBatch,
  pruneFile,
  quotasInScope,
  type Retention,
  requireScope,
  type Scope,
} from './retention-procedures.ts';

/** The scope; without both, all clients. */
export interface PruneScope extends CallOptions {
  readonly clientId?: IdInput | null | undefined;
  readonly fileId?: IdInput | null | undefined;
}

/** The removals so far. */
export interface PruneProgress {
  readonly versions: number;
  readonly bytes: number;
  /** Contents freed since the previous report, which the caller must remove even if a later batch fails. */
  readonly paths: readonly string[];
}

/** Options of pruning. */
export interface PruneOptions extends PruneScope {
  /** Called after each batch that removed something. */
  readonly onProgress?: ((progress: PruneProgress) => void) | null | undefined;
}

/** The result of pruning. */
export interface PruneResult {
  readonly versions: number;
  /** Bytes of the removed versions. */
  readonly bytes: number;
  /** Contents that no remaining version of any client names, sorted. */
  readonly paths: string[];
}

/** A version that stays, and why. */
export interface KeptVersion {
  readonly fileId: string;
  readonly versionNumber: number;
  /**
   * `active`, `last`, `hourly`, `daily`, `weekly`, `monthly`, `yearly`, `oldest daily` (and so on: kept because the
   * rule found fewer than it may keep), `within 30d`, `in the future`, or `no date` if the stored date is unreadable.
   */
  readonly reasons: readonly string[];
}

/** The plan of a pruning. */
export interface PrunePlan extends PruneResult {
  /** All versions that stay, file by file, oldest first. */
  readonly kept: KeptVersion[];
  /** The quotas of the clients in scope, by id, as they would be afterwards. */
  readonly quotas: Quota[];
}

/** The part of `db.versions` that prunes. */
export interface VersionPruning {
  /**
   * Returns what `prune` would remove now, and why the rest stays; changes nothing.
   * @throws {ValidationError} for an empty policy, an unknown rule or a bad value
   * @throws {NotFoundError} when the client or file does not exist
   */
  planPrune(policy: RetentionPolicy, options?: PruneScope): Promise<PrunePlan>;

  /**
   * Removes the versions that the policy does not keep, one transaction per file. The active version of a file always
   * stays, and numbers of removed versions are never reused.
   * @throws {ValidationError} for an empty policy, an unknown rule or a bad value
   * @throws {NotFoundError} when the client or file does not exist
   * @throws the signal's reason, between two files, or the error of a transaction; earlier removals stay, and
   *   `onProgress` has reported them
   * @example
   * ```ts
   * const { versions, bytes, paths } = await db.versions.prune({ keepLast: 3, keepDaily: 7 }, { clientId });
   * console.log(`${versions} versions removed, ${bytes} bytes`);
   * for (const path of paths) console.log(`no version names ${path}: remove it`);
   * ```
   */
  prune(policy: RetentionPolicy, options?: PruneOptions): Promise<PruneResult>;
}

const SCOPE_KEYS = ['clientId', 'fileId', 'signal'];
const PLAN_KEYS = new Set(SCOPE_KEYS);
const PRUNE_KEYS = new Set([...SCOPE_KEYS, 'onProgress']);
const FILES_AT_ONCE = 64; // share a commit, and let others write before the next
const PATHS_AT_ONCE = 1_000; // looked up in one read

interface Work {
  readonly scope: Scope;
  readonly retention: Retention;
  readonly signal: AbortSignal | undefined;
}

async function begin(
  executor: Executor,
  policy: RetentionPolicy,
  given: Readonly<Record<string, unknown>>,
): Promise<Work> {
  const retention = { policy: checkPolicy(policy), at: now() };
  const wanted = {
    clientId: optional(given['clientId'], (value) => checkId(value, 'clientId')),
    fileId: optional(given['fileId'], (value) => checkId(value, 'fileId')),
  };
  const signal = checkSignal(given['signal']);
  return { scope: await executor.run(requireScope, wanted, { signal }), retention, signal };
}

async function* plansOf(executor: Executor, work: Work, all: boolean): AsyncGenerator<readonly FilePlan[]> {
  const { scope, retention, signal } = work;
  let after: readonly Key[] | null = null;
  do {
    const batch: { files: readonly FilePlan[]; after: readonly Key[] | null } = await executor.run(
      planBatch,
      { scope, retention, all, after },
      { signal },
    );
    yield batch.files;
    after = batch.after;
  } while (after !== null);
}

function* chunks<Item>(items: readonly Item[], size: number): Generator<Item[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

async function* quotasOf(executor: Executor, { scope, retention, signal }: Work): AsyncGenerator<Quota> {
  for (let after = ''; ; ) {
    const page = await executor.run(quotasInScope, { clientId: scope.clientId, at: retention.at, after }, { signal });
    yield* page;
    const last = page.at(-1);
    if (last === undefined || scope.clientId !== null) return;
    after = last.clientId;
  }
}

const add = <Name>(sums: Map<Name, number>, name: Name, amount: number) =>
  sums.set(name, (sums.get(name) ?? 0) + amount);

async function plan(executor: Executor, policy: RetentionPolicy, work: Work): Promise<PrunePlan> {
  const kept: KeptVersion[] = [];
  const reasons = new Map<number, readonly string[]>(); // few combinations, many versions
  const removals = new Map<string, [path: string, removed: number]>(); // by the canonical spelling of the path
  const bytesOf = new Map<string, number>();
  let versions = 0;
  const reasonsFor = (mask: number) => {
    const known = reasons.get(mask) ?? Object.freeze(reasonsOf(mask, policy));
    reasons.set(mask, known);
    return known;
  };
  for await (const files of plansOf(executor, work, true)) {
    for (const file of files) {
      for (const [versionNumber, mask] of file.kept) {
        kept.push({ fileId: file.fileId, versionNumber, reasons: reasonsFor(mask) });
      }
      versions += file.removed.length;
      for (const [bytes, path] of file.removed) {
        const removal = removals.get(canonicalPath(path)) ?? [path, 0];
        removal[1] += 1;
        removals.set(canonicalPath(path), removal);
        add(bytesOf, file.clientId, bytes);
      }
    }
  }
  const { signal } = work;
  const paths: string[] = [];
  for (const some of chunks([...removals.values()], PATHS_AT_ONCE))
    paths.push(...(await executor.run(findFreed, some, { signal })));
  const quotas = await Array.fromAsync(quotasOf(executor, work), (quota) => ({
    ...quota,
    usedBytes: quota.usedBytes - (bytesOf.get(quota.clientId) ?? 0),
  }));
  const bytes = [...bytesOf.values()].reduce((sum, some) => sum + some, 0);
  return { versions, bytes, paths: paths.sort(), kept, quotas };
}

/** Prunes files concurrently, each in its own transaction; reports the removals of some even if others fail. */
async function pruneSome(executor: Executor, { retention, signal }: Work, fileIds: readonly string[]) {
  const outcomes = await Promise.allSettled(
    fileIds.map((fileId) => executor.run(pruneFile, { fileId, policy: retention.policy }, { signal })),
  );
  const done = outcomes.filter((outcome): outcome is PromiseFulfilledResult<Pruned> => outcome.status === 'fulfilled');
  const failure = outcomes.find((outcome): outcome is PromiseRejectedResult => outcome.status === 'rejected');
  return { pruned: done.map(({ value }) => value), failure };
}

async function prune(executor: Executor, work: Work, onProgress: PruneOptions['onProgress']): Promise<PruneResult> {
  const { signal } = work;
  const freed = new Set<string>();
  let versions = 0;
  let bytes = 0;
  const count = (pruned: readonly Pruned[]) => {
    const paths = pruned.flatMap((file) => file.paths);
    for (const path of paths) freed.add(path);
    for (const file of pruned) {
      versions += file.versions;
      bytes += file.bytes;
    }
    if (pruned.length > 0) onProgress?.({ versions, bytes, paths });
  };
  for await (const files of plansOf(executor, work, false)) {
    const affected = files.map(({ fileId }) => fileId);
    for (const fileIds of chunks(affected, FILES_AT_ONCE)) {
      const { pruned, failure } = await pruneSome(executor, work, fileIds);
      count(pruned);
      if (failure !== undefined) throw failure.reason;
    }
  }
  // A save may have named a path again since its last version was removed.
  const paths: string[] = [];
  for (const some of chunks([...freed], PATHS_AT_ONCE))
    paths.push(...(await executor.run(findUnnamed, some, { signal })));
  return { versions, bytes, paths: paths.sort() };
}

function checkProgress(value: unknown): PruneOptions['onProgress'] {
  return optional(value, (given) =>
    typeof given === 'function'
      ? (given as (progress: PruneProgress) => void)
      : refuse('onProgress', given, 'a function'),
  );
}

/**
 * Builds the part of `db.versions` that prunes.
 * @internal
 */
export const pruningOf = (executor: Executor): VersionPruning => ({
  planPrune: async (policy, options = {}) =>
    plan(executor, policy, await begin(executor, policy, checkObject(options, 'options', PLAN_KEYS))),

  async prune(policy, options = {}) {
    const given = checkObject(options, 'options', PRUNE_KEYS);
    const onProgress = checkProgress(given['onProgress']);
    return prune(executor, await begin(executor, policy, given), onProgress);
  },
});
