/**
 * The CLI's output: data goes to stdout, everything else to stderr. Terminals get colour unless NO_COLOR is set. After
 * its first error an output is abandoned, and the work continues. A reader that leaves early, like `head`, is not an
 * error; any other loss makes the exit code 1.
 */
import { styleText } from 'node:util';
import { systemCode } from './system-error.ts';

type Style = Parameters<typeof styleText>[0];

/** The text, styled if the terminal supports colour. */
export const styled = (style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string =>
  styleText(style, text, { stream, validateStream: true });

const lost = new Set<NodeJS.WriteStream>();

/** Writes to an output, unless it is lost. */
export function write(stream: NodeJS.WriteStream, text: string): void {
  if (lost.has(stream)) return;
  try {
    stream.write(text);
  } catch (error) {
    loseOutput(stream, error); // Node.js 22 throws the errors of a file as output
  }
}

/** A line of data. */
export const printLine = (text: string): void => write(process.stdout, `${text}\n`);

/** A line of a message. */
export const tell = (text: string): void => write(process.stderr, `${text}\n`);

/** A result for machines; binary values are hex. */
export const printJson = (value: unknown): void => printLine(JSON.stringify(value, hexBinary, 2));

// toJSON has already converted a Buffer, so read the value from its holder.
function hexBinary(this: unknown, key: string, value: unknown): unknown {
  const held = (this as Record<string, unknown>)[key];
  return held instanceof Uint8Array ? toHex(held) : value;
}

export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

let guarded = false;

/** Keeps the process running when an output cannot be written. */
export function guardOutput(): void {
  if (guarded) return;
  guarded = true;
  for (const stream of [process.stdout, process.stderr]) stream.on('error', (error) => loseOutput(stream, error));
}

function loseOutput(stream: NodeJS.WriteStream, error: unknown): void {
  if (lost.has(stream)) return;
  lost.add(stream);
  if (systemCode(error) === 'EPIPE') return;
  process.exitCode ||= 1;
  // A lost stderr cannot be reported.
  const reason = error instanceof Error ? error.message : String(error);
  tell(`${styled('red', 'error:', process.stderr)} the output cannot be written: ${reason}`);
}
