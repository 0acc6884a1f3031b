/** A small change of a source, by places in it. */
export interface Edit {
  /** What kind of change: the name of the operator that made it. */
  readonly operator: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The source with the change. */
export const applyEdit = (source: string, { start, end, text }: Edit): string =>
  source.slice(0, start) + text + source.slice(end);
