/** `completion`: prints a script with which a shell completes this program's commands and options. */
import { basename } from 'node:path';
import { Argument } from 'commander';
import type { CommandSpec } from '../command.ts';
import { completionScript, SHELLS, type Shell } from '../completion.ts';
import { printLine } from '../output.ts';

const isShell = (name: string): name is Shell => SHELLS.some((shell) => shell === name);

/** The given shell, else the user's. */
const shellOf = (named: string): Shell => (isShell(named) ? named : 'bash');

export const completion: CommandSpec = {
  name: 'completion',
  summary: 'Print a completion script for the shell',
  example: 'completion bash > ~/.local/share/bash-completion/completions/backup-catalog',
  configure: (command) =>
    command.addArgument(new Argument('[shell]', 'default: the shell of SHELL, else bash').choices(SHELLS)),
  async run({ args: [shell], program }) {
    printLine(completionScript(program, shellOf(shell ?? basename(process.env['SHELL'] ?? ''))));
    return 0;
  },
};
