#!/usr/bin/env node
// The command line: reads the arguments, runs one command, turns errors into two lines and an exit code.
import { Command, CommanderError, Option } from 'commander';
import { fileError } from '../base/node.ts';
import { version } from '../version.ts';
import { chatCommand } from './commands/chat.ts';
import { compareCommand } from './commands/compare.ts';
import { generateCommand } from './commands/generate.ts';
import { instructCommand } from './commands/instruct.ts';
import { listCommand, pruneCommand, pullCommand, removeCommand, verifyCommand } from './commands/models.ts';
import { serveCommand } from './commands/serve.ts';
import { showCommand } from './commands/show.ts';
import { trainCommand } from './commands/train.ts';
import { type Format, formats, Output } from './output.ts';

/** alpaca-lora spells flags with underscores. */
const withHyphens = (arg: string) =>
  arg.startsWith('--') ? arg.replace(/^--[\w-]+/, (name) => name.replaceAll('_', '-')) : arg;

function build(): { program: Command; output: () => Output } {
  const program = new Command('huacaya')
    .description('Fine-tune a LLaMA-family model with LoRA on your own instructions, on the machine you have.')
    .version(version)
    .addOption(
      new Option('--format <how>', 'output for people, for programs, or none').choices(formats).default('human'),
    )
    .option('--debug', 'show where an error came from')
    .showHelpAfterError('(--help shows what is possible)')
    .configureHelp({ showGlobalOptions: true });
  let made: Output | undefined;
  const output = () => {
    made ??= new Output(program.opts<{ format: Format }>().format);
    return made;
  };
  const commands = [
    pullCommand,
    listCommand,
    showCommand,
    verifyCommand,
    removeCommand,
    pruneCommand,
    instructCommand,
    trainCommand,
    generateCommand,
    compareCommand,
    chatCommand,
    serveCommand,
  ];
  for (const make of commands) program.addCommand(make(output));
  program.addHelpText(
    'after',
    `
A first run:
  huacaya pull smollm2-135m-instruct
  huacaya train --recipe demo --output-dir runs/demo
  huacaya compare --adapter runs/demo/adapter "Why is the sky blue?"`,
  );
  const every = [program, ...program.commands];
  for (const c of every) c.exitOverride();
  return { program, output };
}

const { program, output } = build();
// A reader that goes away (`| head`) is not an error.
process.stdout.on('error', (e: NodeJS.ErrnoException) => {
  process.exit(e.code === 'EPIPE' ? 0 : output().error(fileError('standard output', e), false));
});
try {
  await program.parseAsync(process.argv.map(withHyphens));
} catch (e) {
  // commander has printed its own message already.
  if (e instanceof CommanderError) process.exitCode = e.exitCode === 0 ? 0 : 2;
  else process.exitCode = output().error(e, !!program.opts().debug);
}
