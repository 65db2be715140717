#!/usr/bin/env node
// The command line: reads the arguments, runs one command, turns errors into two lines and an exit code.
import { Command, CommanderError, Option } from 'commander';
import { fileError } from '../base/node.ts';
import { version } from '../version.ts';
import { type Format, formats, Output } from './output.ts';

/** alpaca-lora spells flags with underscores. */
const withHyphens = (arg: string) =>
  arg.startsWith('--') ? arg.replace(/^--[\w-]+/, (name) => name.replaceAll('_', '-')) : arg;

type MakeCommand = (output: () => Output) => Command;

/** Loaded when they are needed: one command does not wait for the code of the others. In the order of the help. */
const commands: Readonly<Record<string, () => Promise<MakeCommand>>> = {
  pull: async () => (await import('./commands/pull.ts')).pullCommand,
  list: async () => (await import('./commands/models.ts')).listCommand,
  show: async () => (await import('./commands/show.ts')).showCommand,
  verify: async () => (await import('./commands/models.ts')).verifyCommand,
  rm: async () => (await import('./commands/models.ts')).removeCommand,
  prune: async () => (await import('./commands/models.ts')).pruneCommand,
  instruct: async () => (await import('./commands/instruct.ts')).instructCommand,
  train: async () => (await import('./commands/train.ts')).trainCommand,
  generate: async () => (await import('./commands/generate.ts')).generateCommand,
  compare: async () => (await import('./commands/compare.ts')).compareCommand,
  chat: async () => (await import('./commands/chat.ts')).chatCommand,
  serve: async () => (await import('./commands/serve.ts')).serveCommand,
};

/** The command that is named, or all of them where none is: for the help, and for "did you mean". */
function needed(args: readonly string[]): (() => Promise<MakeCommand>)[] {
  const word = args.find((arg, i) => !arg.startsWith('-') && args[i - 1] !== '--format');
  const named = word !== undefined && Object.hasOwn(commands, word) ? commands[word] : undefined;
  return named ? [named] : Object.values(commands);
}

async function build(args: readonly string[]): Promise<{ program: Command; output: () => Output }> {
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
  for (const load of needed(args)) program.addCommand((await load())(output));
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

const args = process.argv.map(withHyphens);
const { program, output } = await build(args.slice(2));
// A reader that goes away (`| head`) is not an error.
process.stdout.on('error', (e: NodeJS.ErrnoException) => {
  process.exit(e.code === 'EPIPE' ? 0 : output().error(fileError('standard output', e), false));
});
try {
  await program.parseAsync(args);
} catch (e) {
  // commander has printed its own message already.
  if (e instanceof CommanderError) process.exitCode = e.exitCode === 0 ? 0 : 2;
  else process.exitCode = output().error(e, !!program.opts().debug);
}
