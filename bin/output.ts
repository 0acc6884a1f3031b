/**
 * What the CLI writes: data to stdout, everything else to stderr. Colour is for terminals that want it (NO_COLOR). A
 * reader that leaves early, like `head`, is no error.
 */
import { styleText } from 'node:util';
import { systemCode } from './system-error.ts';

type Style = Parameters<typeof styleText>[0];

/** Styled for a terminal that wants colour, else as it is. */
export const styled = (style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string =>
  styleText(style, text, { stream, validateStream: true });

/** A line of data. */
export const printLine = (text: string): void => void process.stdout.write(`${text}\n`);

/** A line of a message. */
export const tell = (text: string): void => void process.stderr.write(`${text}\n`);

/** A result for machines; binary values are hex. */
export const printJson = (value: unknown): void => printLine(JSON.stringify(value, hexBinary, 2));

// A Buffer comes here as what its toJSON made of it, so the value is taken from its holder.
function hexBinary(this: unknown, key: string, value: unknown): unknown {
  const held = (this as Record<string, unknown>)[key];
  return held instanceof Uint8Array ? toHex(held) : value;
}

export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

let guarded = false;

/** Lets the process end quietly when nobody reads its output, and plainly when it cannot be written. */
export function guardOutput(): void {
  if (guarded) return;
  guarded = true;
  for (const stream of [process.stdout, process.stderr]) stream.on('error', onOutputError);
}

function onOutputError(error: Error): void {
  if (systemCode(error) === 'EPIPE') return;
  process.exitCode = 1;
  tell(`${styled('red', 'error:', process.stderr)} the output cannot be written: ${error.message}`);
}
