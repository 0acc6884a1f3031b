/**
 * Bars and sparklines for a terminal, of block characters one column wide. Something that is there is never shown as
 * nothing; exact figures stand beside them, and pipes get only those.
 */

/** A stretch of a bar: how much of the whole it is, 0 to 1, and the character that shows it. */
export interface Stretch {
  readonly part: number;
  readonly cell: string;
}

const FREE = '░';

/** Stretches one after the other, filled up to `width` columns; what has no room is cut off at the end. */
export function bar(width: number, stretches: readonly Stretch[]): string {
  let drawn = '';
  for (const { part, cell } of stretches) {
    drawn += cell.repeat(Math.min(Math.ceil(part * width), width - drawn.length));
  }
  return drawn + FREE.repeat(width - drawn.length);
}

const LEVELS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const HIGHEST = LEVELS.length - 1;

/** One column per value, from 0 to the largest value; none may be negative. Only 0 has the lowest level. */
export function sparkline(values: readonly number[]): string {
  const largest = Math.max(...values);
  return values.map((value) => LEVELS[value === 0 ? 0 : Math.ceil((value / largest) * HIGHEST)]).join('');
}
