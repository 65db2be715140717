// Options and set-up that generate, compare and chat share.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { usageError } from '../base/index.ts';
import { checkSampling, describeSampling, type Generated, type GenerateOptions, generate } from '../infer/index.ts';
import { openAdapter } from '../models/node.ts';
import { type Precision, precisions } from '../quant/index.ts';
import { InferencePass, type ResidentAdapter } from '../runner/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { readNotes } from './adapterNotes.ts';
import type { Output } from './output.ts';
import { type PromptBuilder, promptBuilder } from './promptBuilder.ts';
import { quantisedCacheHelp } from './quantisedCache.ts';
import { openModel, startModel } from './session.ts';

export interface GenerationFlags {
  baseModel?: string;
  adapter?: string;
  promptTemplateName?: string;
  temperature: number;
  topP: number;
  topK: number;
  maxNewTokens: number;
  seed: number;
  stop?: string[];
  precision: Precision;
  threads?: number;
  quantisedCache: boolean;
}

const number = (text: string) => {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It should be a number.');
  return value;
};

export function addGenerationOptions(command: Command): Command {
  return command
    .option('--base-model <model>', 'name, folder or .gguf file (default: what the adapter was trained on)')
    .option('--adapter <folder>', 'a LoRA adapter: what `train` wrote, or any PEFT folder')
    .option('--prompt-template-name <name>', 'alpaca, alpaca_legacy, alpaca_short, vigogne, chat, or a JSON file')
    .option('--temperature <t>', '0 is greedy: always the most probable token', number, 0)
    .option('--top-p <p>', 'sample from the most probable tokens up to this share', number, 1)
    .option('--top-k <k>', 'sample from so many tokens; 0: all', number, 0)
    .option('--max-new-tokens <n>', 'longest answer in tokens', number, 256)
    .option('--seed <n>', 'seed of the sampling', number, 0)
    .option('--stop <text...>', 'texts at which an answer ends')
    .addOption(
      new Option(
        '--precision <p>',
        'fp32: exact; int4, nf4: exact products of 4-bit weights; int8, w4a8: 8-bit products',
      )
        .choices(precisions)
        .default('fp32'),
    )
    .option('--threads <n>', 'cores to use (default: all)', number)
    .option('--no-quantised-cache', quantisedCacheHelp);
}

export interface Generation {
  pass: InferencePass;
  tokenizer: Tokenizer;
  prompts: PromptBuilder;
  adapter: ResidentAdapter | undefined;
  /** Model, adapter, template and decoding mode, in words. */
  title: string;
  /** In words, e.g. "greedy". */
  mode: string;
  options: GenerateOptions;
  close(): Promise<void>;
}

const defaultModel = 'smollm2-135m-instruct';

/** Checks the flags, loads model and adapter. @throws HuacayaError before anything is loaded where it can. */
export async function startGeneration(out: Output, flags: GenerationFlags): Promise<Generation> {
  const sampling = checkSampling({ temperature: flags.temperature, topP: flags.topP, topK: flags.topK });
  if (!Number.isInteger(flags.maxNewTokens) || flags.maxNewTokens < 1) {
    throw usageError(`--max-new-tokens is ${flags.maxNewTokens}; it must be a whole number of at least 1`);
  }
  if (!Number.isInteger(flags.seed)) throw usageError(`--seed is ${flags.seed}; it must be a whole number`);
  const noted = flags.adapter ? (await readNotes(flags.adapter))?.base_model : undefined;
  const checkpoint = await openModel(flags.baseModel ?? noted ?? defaultModel);
  const { tokenizer } = checkpoint;
  for (const repair of tokenizer.repairs) out.warn(`${checkpoint.name}: ${repair}`);
  const prompts = await promptBuilder(tokenizer, flags.promptTemplateName, flags.adapter);
  const adapterFile = flags.adapter ? await openAdapter(flags.adapter, checkpoint.config) : undefined;
  const { runtime, model } = await startModel(out, checkpoint, {
    precision: flags.precision,
    training: false,
    quantisedCache: flags.quantisedCache,
    ...(flags.threads !== undefined ? { threads: flags.threads } : {}),
  });
  const mode = describeSampling(sampling);
  try {
    const pass = await InferencePass.create(model);
    const adapter = adapterFile ? await pass.loadAdapter(adapterFile) : undefined;
    return {
      pass,
      tokenizer,
      prompts,
      adapter,
      title: `${checkpoint.name}${flags.adapter ? ` + ${flags.adapter}` : ''}, template ${prompts.name}, ${mode}`,
      mode,
      options: {
        ...sampling,
        maxNewTokens: flags.maxNewTokens,
        seed: flags.seed,
        stop: [...prompts.stop, ...(flags.stop ?? [])],
        ...(adapter ? { adapter } : {}),
      },
      close: () => runtime.close(),
    };
  } catch (e) {
    await runtime.close();
    throw e;
  }
}

/**
 * Prints an answer as it comes, then how fast it came; with --format json one object, `about` included, at its end.
 */
export async function streamAnswer(
  out: Output,
  g: Generation,
  promptIds: readonly number[],
  about: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<Generated> {
  const pieces = generate(g.pass, g.tokenizer, promptIds, { ...g.options, ...(signal ? { signal } : {}) });
  for (;;) {
    const piece = await pieces.next();
    if (!piece.done) {
      if (out.format !== 'json') out.piece(piece.value);
      continue;
    }
    const made = piece.value;
    if (out.format !== 'json') out.piece('\n');
    out.json({ ...about, text: made.text, finish: made.finish, tokens: made.ids.length });
    const rate = made.ids.length > 1 ? `, ${((made.ids.length - 1) / made.decodeSeconds).toFixed(0)} tok/s` : '';
    out.say(`${made.promptTokens} + ${made.ids.length} tokens${rate}, ended by ${made.finish}`);
    return made;
  }
}
