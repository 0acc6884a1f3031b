/**
 * The command line: parses arguments, runs the command, reports failures. `run` never throws and leaves the process
 * alive, so that it can be called repeatedly.
 */
import { createRequire } from 'node:module';
import { Command } from 'commander';
import type { Logger } from 'pino';
import type { CommandSpec, ExitCode } from './command.ts';
import { COMMANDS } from './commands.ts';
import { report, UsageError, type Vocabulary } from './errors.ts';
import { printable } from './format.ts';
import { nearest } from './names.ts';
import { guardOutput, styled, write } from './output.ts';
import { addSettings, type Settings, surroundings } from './settings.ts';
import type { TypedNames } from './typed-names.ts';

const { version }: { version: string } = createRequire(import.meta.url)('backup-catalog/package.json');

/** The outcome of a run. */
interface Outcome {
  exitCode: ExitCode;
  /** The logger of the command, once it is known. */
  logger?: Logger;
  /** How its errors are worded. */
  vocabulary?: Vocabulary;
}

const namesOf = ({ options }: Command, { flags = {} }: CommandSpec): TypedNames =>
  new Map([
    ...options.map((option) => [option.attributeName(), option.long ?? option.flags] as const),
    ...Object.entries(flags),
  ]);

function addCommand(program: Command, spec: CommandSpec, outcome: Outcome): void {
  const command = program.command(spec.name).description(spec.summary);
  spec.configure?.(command);
  command.addHelpText('after', `\nExample:\n  $ ${program.name()} ${spec.example}`);
  command.action(async () => {
    const settings: Settings = command.optsWithGlobals();
    const around = surroundings(settings);
    outcome.logger = around.logger;
    outcome.vocabulary = { names: namesOf(command, spec), words: spec.words ?? {} };
    outcome.exitCode = await spec.run({ args: command.processedArgs, options: settings, program, ...around });
  });
}

/** Adds `help [command]`. Commander's version prints the usage for an unknown command without an error. */
function addHelp(program: Command): void {
  const command = program.helpCommand(false).command('help').description('Show the help of a command');
  command.argument('[command]', 'the name of a command (default: all commands)').action((name?: string) => {
    const named = name === undefined ? program : program.commands.find((other) => other.name() === name);
    if (named === undefined) throw unknownCommand(name ?? '', program);
    named.help();
  });
}

function unknownCommand(name: string, program: Command): UsageError {
  const known = program.commands.map((command) => command.name());
  const meant = nearest(name, known);
  const advice = meant === undefined ? `Known: ${known.join(', ')}.` : `Did you mean ${meant}?`;
  return new UsageError(`unknown command '${printable(name)}'. ${advice}`);
}

/** The whole program; its commands fill in `outcome`. */
export function buildProgram(outcome: Outcome): Command {
  const program = new Command('backup-catalog')
    .description('The catalogue of a backup server: which files were backed up, when, and in which versions.')
    .version(version)
    .usage('<command> [options]')
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('See --help.')
    .configureOutput({
      writeOut: (text) => write(process.stdout, text),
      writeErr: (text) => write(process.stderr, text),
      outputError: (text, write) => write(text.replace(/^error:/, styled('red', 'error:', process.stderr))),
    })
    .exitOverride();
  addSettings(program);
  for (const spec of COMMANDS) addCommand(program, spec, outcome);
  addHelp(program);
  return program.addHelpText('after', '\nExample:\n  $ backup-catalog ingest ~/documents --client laptop');
}

/** Runs one command line, without the names of the program, and returns its exit code. */
export async function run(args: readonly string[]): Promise<ExitCode> {
  guardOutput();
  const outcome: Outcome = { exitCode: 0 };
  try {
    await buildProgram(outcome).parseAsync(args, { from: 'user' });
    return outcome.exitCode;
  } catch (error) {
    return report(error, outcome.logger, outcome.vocabulary);
  }
}
