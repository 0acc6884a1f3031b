/**
 * Completion scripts, written from the program's own commands and options, so that they can never tell of others. A
 * script is static: completing starts no process.
 */
import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

interface Flag {
  /** `--json`, `-h`. */
  readonly names: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

interface Word {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly Flag[];
  /** What its argument may be; empty for anything, such as a file. */
  readonly choices: readonly string[];
}

interface Grammar {
  readonly program: string;
  readonly commands: readonly Word[];
  /** Flags of every command. */
  readonly flags: readonly Flag[];
}

const flagOf = ({ short, long, description, required, optional, argChoices }: Option): Flag => ({
  names: [short, long].filter((name) => name !== undefined && name !== null),
  description,
  takesValue: required || optional,
  choices: argChoices ?? [],
});

function grammarOf(program: Command): Grammar {
  const help = program.createHelp();
  const commands = help.visibleCommands(program).map((command) => ({
    name: command.name(),
    summary: command.description(),
    flags: command.options.map(flagOf),
    choices: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
  }));
  const names = commands.map(({ name }) => name);
  return {
    program: program.name(),
    // `help` takes the name of a command.
    commands: commands.map((command) => (command.name === 'help' ? { ...command, choices: names } : command)),
    flags: help.visibleOptions(program).map(flagOf),
  };
}

const functionName = (program: string) => `_${program.replaceAll('-', '_')}`;
const namesOf = (flags: readonly Flag[]) => flags.flatMap(({ names }) => names);
const indent = (lines: readonly string[], spaces: number) => lines.map((line) => ' '.repeat(spaces) + line).join('\n');

const unique = (names: readonly string[]) => [...new Set(names)];

function bash({ program, commands, flags }: Grammar): string {
  const withValue = [...flags, ...commands.flatMap((command) => command.flags)].filter(({ takesValue }) => takesValue);
  const withChoices = withValue
    .filter(({ choices }) => choices.length > 0)
    .map(({ names, choices }) => `${names.join('|')}) words='${choices.join(' ')}' ;;`);
  const ofCommand = commands.map(
    ({ name, choices, flags: own }) => `${name}) words='${choices.join(' ')}' flags='${namesOf(own).join(' ')}' ;;`,
  );
  return `# bash completion of ${program}
${functionName(program)}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local command='' words='' flags='' index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in
      ${unique(namesOf(withValue)).join('|')}) ((index++)) ;;
      -*) ;;
      *) command=\${COMP_WORDS[index]}; break ;;
    esac
  done
  case $command in
    '') words='${commands.map(({ name }) => name).join(' ')}' ;;
${indent(ofCommand, 4)}
  esac
  [[ $current == -* ]] && words="$flags ${namesOf(flags).join(' ')}"
  case $previous in
${indent(withChoices, 4)}
    ${unique(namesOf(withValue)).join('|')}) words='' ;;
  esac
  COMPREPLY=()
  [[ -n $words ]] && COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o bashdefault -o default -F ${functionName(program)} ${program}`;
}

const zshText = (text: string) => text.replace(/[\\[\]:]/g, '\\$&').replaceAll("'", "'\\''");

function zshFlag({ names, description, takesValue, choices }: Flag): string {
  const value = choices.length > 0 ? `(${choices.join(' ')})` : '_files';
  const exclusive = names.length > 1 ? `'(${names.join(' ')})'{${names.join(',')}}` : (names[0] ?? '');
  return `${exclusive}'[${zshText(description)}]${takesValue ? `:value:${value}` : ''}'`;
}

function zsh({ program, commands, flags }: Grammar): string {
  const name = functionName(program);
  const described = commands.map((command) => `'${zshText(command.name)}:${zshText(command.summary)}'`);
  const cases = commands.map((command) => {
    const argument = command.choices.length > 0 ? `'1:argument:(${command.choices.join(' ')})'` : `'*:file:_files'`;
    return `${command.name}) _arguments $common ${[...command.flags.map(zshFlag), argument].join(' ')} ;;`;
  });
  return `#compdef ${program}
${name}() {
  local context state state_descr line
  typeset -A opt_args
  local -a commands=(
${indent(described, 4)}
  )
  local -a common=(
${indent(flags.map(zshFlag), 4)}
  )
  _arguments -C $common '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $line[1] in
${indent(cases, 8)}
      esac ;;
  esac
}
if [[ $funcstack[1] == ${name} ]]; then ${name} "$@"; else compdef ${name} ${program}; fi`;
}

const fishText = (text: string) => `'${text.replace(/[\\']/g, '\\$&')}'`;

function fishFlag(program: string, condition: string, { names, description, takesValue, choices }: Flag): string {
  const spelled = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  const values = choices.length > 0 ? [`-x -a ${fishText(choices.join(' '))}`] : ['-r'];
  const parts = [condition, ...spelled, ...(takesValue ? values : []), `-d ${fishText(description)}`];
  return `complete -c ${program} ${parts.filter((part) => part !== '').join(' ')}`;
}

function fish({ program, commands, flags }: Grammar): string {
  const lines = [`# fish completion of ${program}`, ...flags.map((flag) => fishFlag(program, '', flag))];
  for (const { name, summary, choices, ...command } of commands) {
    const inside = `-n '__fish_seen_subcommand_from ${name}'`;
    lines.push(`complete -c ${program} -n __fish_use_subcommand -f -a ${name} -d ${fishText(summary)}`);
    lines.push(...command.flags.map((flag) => fishFlag(program, inside, flag)));
    if (choices.length > 0) lines.push(`complete -c ${program} ${inside} -f -a ${fishText(choices.join(' '))}`);
  }
  return lines.join('\n');
}

const WRITERS: Readonly<Record<Shell, (grammar: Grammar) => string>> = { bash, zsh, fish };

/** The script for a shell. */
export const completionScript = (program: Command, shell: Shell): string => WRITERS[shell](grammarOf(program));
