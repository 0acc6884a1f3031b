#!/usr/bin/env node
/**
 * The command's entry. It says plainly when Node.js is too old before it loads anything that such a Node.js could not
 * even read; everything else is in main.ts.
 */
const tooOld = await import('../lib/runtime/node-version.ts').then(
  () => undefined,
  (error: Error) => error.message,
);

if (tooOld === undefined) {
  const { run } = await import('./main.ts');
  const exitCode = await run(process.argv.slice(2));
  if (exitCode !== 0) process.exitCode = exitCode; // else that of an output that could not be written stays
} else {
  process.stderr.write(`error: ${tooOld}\n`);
  process.exitCode = 1;
}
