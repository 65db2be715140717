// Options and set-up that generate, compare, chat and serve share.
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Assistant, ModelEntry } from '../assistant/index.ts';
import { type AnswerPrecision, answerPrecisions, loadAssistant, storageFrom } from '../assistant/node.ts';
import { HuacayaError } from '../base/index.ts';
import { adaptersByName } from './adapterFlags.ts';
import { defaultKnobs, type Knobs, knobs, numberOf } from './knobs.ts';
import { checkKnobs } from './knobsInUse.ts';
import type { Output } from './output.ts';
import { quantisedCacheHelp } from './session.ts';

export interface GenerationFlags extends ModelFlags, Partial<Knobs> {}

/** Which model with which adapters, and how it is loaded. */
export interface ModelFlags {
  baseModel?: string;
  adapter?: string[];
  mergeAdapter?: string;
  promptTemplateName?: string;
  precision: AnswerPrecision;
  threads?: number;
  slots?: number;
  contextLength?: number;
  kvPrecision: 'fp32' | 'int8';
  quantisedCache: boolean;
}

/** commander names the flag in front of the message, and hands in what was given before where it is repeated. */
export function argument(parse: (text: string, before?: never) => unknown) {
  return (text: string, before?: unknown): unknown => {
    try {
      return parse(text, before as never);
    } catch (e) {
      // A file that cannot be read is no wrong argument.
      if (e instanceof HuacayaError && e.code === 'USAGE') throw new InvalidArgumentError(`${e.message}.`);
      throw e;
    }
  };
}

export function addGenerationOptions(command: Command): Command {
  addModelOptions(command);
  for (const { name, value, help, parse } of knobs) command.option(`--${name} ${value}`, help, argument(parse));
  return command;
}

export function addModelOptions(command: Command): Command {
  return command
    .option('--base-model <model>', 'name, folder or .gguf file (default: what the adapter was trained on)')
    .option(
      '--adapter <folder>',
      'a LoRA adapter: what `train` wrote, or any PEFT folder; name=folder gives it a name; several: repeat it',
      (text: string, before: string[] = []) => [...before, text],
    )
    .option('--merge-adapter <folder>', 'an adapter that is worked into the weights while they are loaded')
    .option('--prompt-template-name <name>', 'alpaca, alpaca_legacy, alpaca_short, vigogne, chat, or a JSON file')
    .addOption(
      new Option(
        '--precision <p>',
        'auto: 4 bits where the model is stored in 4, else 8; fp32: exact; nf4: as QLoRA trains',
      )
        .choices(answerPrecisions)
        .default('auto'),
    )
    .option('--threads <n>', 'cores to use (default: all)', argument(numberOf))
    .option('--slots <n>', 'answers in progress at the same time (default: 4)', argument(numberOf))
    .option(
      '--context-length <n>',
      'most tokens of prompt and answer together (default: 4096, or less if the model has less)',
      argument(numberOf),
    )
    .addOption(
      new Option('--kv-precision <p>', 'int8: keys and values in a quarter of the memory, for long contexts')
        .choices(['fp32', 'int8'])
        .default('fp32'),
    )
    .option('--no-quantised-cache', quantisedCacheHelp);
}

export interface Generation {
  assistant: Assistant;
  knobs: Knobs;
  /** Who answers where nothing else is said: the first adapter, else the base model. */
  model: ModelEntry;
  adapters: readonly ModelEntry[];
}

/** What the flags say. @throws HuacayaError USAGE where they contradict each other. */
export function readFlags(flags: GenerationFlags): { folders: Record<string, string>; asked: Knobs } {
  const folders = adaptersByName(flags.adapter ?? []);
  const given = Object.fromEntries(knobs.flatMap(({ key }) => (flags[key] === undefined ? [] : [[key, flags[key]]])));
  const asked = checkKnobs({ ...defaultKnobs, ...given }, { adapter: Object.keys(folders).length > 0 });
  return { folders, asked };
}

/** Checks the flags, then loads model and adapters. @throws HuacayaError before anything is loaded where it can. */
export async function startGeneration(out: Output, flags: GenerationFlags): Promise<Generation> {
  const { folders, asked } = readFlags(flags);
  // Beams take a slot each, and one more to move between.
  const slots = flags.slots ?? (asked.numBeams > 1 ? Math.max(4, asked.numBeams + 1) : undefined);
  const assistant = await loadFromFlags(out, { ...flags, slots }, folders);
  try {
    checkKnobs(asked, { vocabSize: assistant.generator.info.vocabSize });
    const [base, ...adapters] = assistant.models;
    return { assistant, knobs: asked, model: adapters[0] ?? base!, adapters };
  } catch (e) {
    await assistant.close();
    throw e;
  }
}

/** @param adapters folders by name. */
export async function loadFromFlags(
  out: Output,
  flags: ModelFlags,
  adapters: Readonly<Record<string, string>>,
): Promise<Assistant> {
  return loadAssistant(flags.baseModel, {
    adapters,
    precision: flags.precision,
    threads: flags.threads,
    promptTemplateName: flags.promptTemplateName,
    ...(flags.mergeAdapter === undefined ? {} : { mergeAdapter: flags.mergeAdapter }),
    slots: flags.slots,
    contextLength: flags.contextLength,
    kvPrecision: flags.kvPrecision,
    quantisedCache: flags.quantisedCache,
    storage: await storageFrom(process.env),
    warn: (text) => out.warn(text),
    onProgress: (text, keep) => out.progress(text, keep),
  });
}

/** Model and adapter, in words: "tiny + half, scale 0.5". */
export function describeModel(
  { assistant, knobs }: Pick<Generation, 'assistant' | 'knobs'>,
  model: ModelEntry,
): string {
  if (model.kind === 'base') return assistant.id;
  return `${assistant.id} + ${model.id}${knobs.adapterScale === 1 ? '' : `, scale ${knobs.adapterScale}`}`;
}
