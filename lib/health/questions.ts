/**
 * The table of questions that health asks an open catalogue, each once and independently, so that a failing one does
 * not affect the others. Checks name the questions whose answers they judge. Nothing here throws or judges.
 */

import { isBeyondMemory } from '../core/search-index-table.ts';
import type { DatabaseError } from '../errors.ts';
import { maintenanceState } from '../maintenance/history.ts';
import type { Thresholds } from '../options/thresholds.ts';
import { type CallOptions, type Engine, type EngineStats, fileOf } from '../sql/engine.ts';
import { DAY_MS } from '../values/intervals.ts';
import { type Answer, Deadline } from './deadline.ts';
import {
  probeWriter,
  type SearchFigures,
  schemaFigures,
  searchFigures,
  sizesBefore,
  transfersSince,
  warnedClients,
} from './health-procedures.ts';

/** The state of the schema relative to this release. */
interface SchemaStanding {
  /** Migrations of this release that are not applied. */
  readonly pending: number;
  /** The problem with that; undefined without one. */
  readonly problem: DatabaseError | undefined;
  /** Whether the essential tables exist. */
  readonly isReadable: boolean;
}

/** The examined catalogue. */
export interface Source {
  readonly engine: Engine;
  readonly readOnly: boolean;
  readonly thresholds: Thresholds;
  /** Reads the state of the schema relative to this release. */
  readonly standing: (call: CallOptions) => Promise<SchemaStanding>;
  /** Lists the foreign triggers on tables of the catalogue, in words. */
  readonly foreignTriggers: (call: CallOptions) => Promise<readonly string[]>;
}

/** A catalogue, the time of the look in milliseconds since the epoch, and the options of calls to the engine. */
interface Inquiry extends Source {
  readonly at: number;
  readonly call: CallOptions;
}

const COUNTED_BACKLOG = 10_000; // rows counted if the backlog is not judged

/** The UTC day of an instant. */
const dayAt = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** The day from which failed transfers count: at five past midnight those of today alone would be too few. */
export const transfersFrom = (at: number): string => dayAt(at - DAY_MS);

/** Some damage of the index fails a call as a whole: the second call does not look inside. */
async function searchIndex({ engine, thresholds, call }: Inquiry): Promise<SearchFigures | null> {
  const most = (thresholds.searchBacklog ?? COUNTED_BACKLOG) + 1;
  try {
    return await engine.run(searchFigures, { most, met: null }, call);
  } catch (error) {
    if (!isBeyondMemory(error)) throw error;
    return engine.run(searchFigures, { most, met: error.message }, call);
  }
}

/** Every question there is; an answer of null means that the schema is too old to have one. */
export const QUESTIONS = {
  schema: ({ engine, call }) => engine.run(schemaFigures, null, call),
  writer: async ({ engine, readOnly, call }) => (readOnly ? null : engine.run(probeWriter, null, call)),
  history: ({ engine, call }) => engine.run(maintenanceState, null, call),
  standing: ({ standing, call }) => standing(call),
  foreignTriggers: ({ foreignTriggers, call }) => foreignTriggers(call),
  quotas: ({ engine, call }) => engine.run(warnedClients, null, call),
  transfers: ({ engine, at, call }) => engine.run(transfersSince, transfersFrom(at), call),
  sizes: ({ engine, at, call }) => engine.run(sizesBefore, dayAt(at), call),
  search: searchIndex,
  files: async ({ engine }) => fileOf(engine).figures(),
  freeBytes: async ({ engine }) => fileOf(engine).freeBytes(),
} as const satisfies Readonly<Record<string, (inquiry: Inquiry) => Promise<unknown>>>;

export type QuestionName = keyof typeof QUESTIONS;

type AnswerTo<Question> = Question extends (inquiry: Inquiry) => Promise<infer Value> ? Answer<Value> : never;

/** The results of all questions. */
export type Answers = {
  readonly [Name in QuestionName]: AnswerTo<(typeof QUESTIONS)[Name]>;
};

/** The input of a check: the answers to its questions, and the engine's counters. */
export type Facts<Asked extends QuestionName = QuestionName> = Pick<Answers, Asked> & {
  /** When it was asked, in milliseconds since the epoch. */
  readonly at: number;
  readonly stats: EngineStats;
};

/** Asks all questions at once; returns the results known at the deadline or when the signal fires. */
export async function gatherFacts(source: Source, deadlineMs: number, signal?: AbortSignal): Promise<Facts> {
  const at = Date.now();
  const stats = source.engine.stats();
  const deadline = new Deadline(deadlineMs, signal);
  const asked = Object.entries(QUESTIONS).map(async ([name, question]) => {
    const answer: Answer<unknown> = await deadline.ask<unknown>((call) => question({ ...source, at, call }));
    return [name, answer] as const;
  });
  const answers = Object.fromEntries(await Promise.all(asked)) as Answers;
  deadline.stop();
  return { ...answers, at, stats };
}
