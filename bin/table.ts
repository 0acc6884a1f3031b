/** Columns of text, aligned by what a terminal shows: wide, combined and coloured characters count as they look. */
import stringWidth from 'string-width';
import { printable } from './format.ts';
import { styled } from './output.ts';

export interface Column {
  readonly title: string;
  /** Figures stand on the right. Default left. */
  readonly align?: 'left' | 'right';
}

const GAP = '  ';

const pad = (text: string, width: number, align: Column['align']) => {
  const space = ' '.repeat(Math.max(0, width - stringWidth(text)));
  return align === 'right' ? space + text : text + space;
};

function alignLine(cells: readonly string[], columns: readonly Column[], widths: readonly number[]): string {
  const padded = cells.map((cell, position) => pad(cell, widths[position] ?? 0, columns[position]?.align));
  return padded.join(GAP).trimEnd();
}

/** A table with a line of titles; cells are made printable. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const titles = columns.map(({ title }) => title);
  const cells = rows.map((row) => row.map(printable));
  const widths = titles.map((title, position) =>
    cells.reduce((width, row) => Math.max(width, stringWidth(row[position] ?? '')), stringWidth(title)),
  );
  const lines = cells.map((row) => alignLine(row, columns, widths));
  return [styled('bold', alignLine(titles, columns, widths)), ...lines].join('\n');
}

/** Labels and their values, one to a line. */
export function fields(entries: readonly (readonly [label: string, value: string])[]): string {
  const width = Math.max(...entries.map(([label]) => stringWidth(label)));
  return entries.map(([label, value]) => `${pad(label, width, 'left')}${GAP}${printable(value)}`).join('\n');
}
