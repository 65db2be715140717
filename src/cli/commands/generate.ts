// huacaya generate: one instruction, one streamed answer; or a whole file of them.
import { Command } from 'commander';
import { usageError } from '../../base/index.ts';
import { answerJson, ask, logprobLines, statsLine } from '../answer.ts';
import { type BatchFlags, generateBatch } from '../batch/generateBatch.ts';
import { addGenerationOptions, describeModel, type GenerationFlags, startGeneration } from '../generation.ts';
import { describeKnobs } from '../knobsInUse.ts';
import type { Output } from '../output.ts';

interface GenerateFlags extends Omit<BatchFlags, 'limit'> {
  input?: string;
  dataPath?: string;
  limit?: string;
}

export function generateCommand(getOutput: () => Output): Command {
  return addGenerationOptions(
    new Command('generate')
      .description('answer one instruction, or all rows of a file')
      .argument('[instruction]', 'what to do')
      .option('--input <text>', 'text that the instruction is about')
      .option('--data-path <file>', 'answer the rows of a file instead: Alpaca JSON or JSON Lines')
      .option('--output <file>', 'append the answers to this JSON Lines file; a stopped run goes on where it was')
      .option('--overwrite', 'replace the --output file')
      .option('--limit <n>', 'only the first rows of --data-path'),
  )
    .addHelpText(
      'after',
      `
Examples:
  huacaya generate "Give three tips for staying healthy."
  huacaya generate --adapter runs/demo/adapter --input "good morning" "Translate to French."
  huacaya generate --temperature 0.8 --top-p 0.9 --seed 3 "Write a short poem about alpacas."
  huacaya generate --data-path questions.jsonl --output answers.jsonl`,
    )
    .action(async (instruction: string | undefined, flags: GenerateFlags) => {
      const { dataPath, limit, ...rest } = flags;
      checkForm(instruction, flags);
      if ((flags.adapter?.length ?? 0) > 1) {
        throw usageError(
          'generate answers with one adapter, but several are named',
          '`huacaya compare` takes several.',
        );
      }
      if (dataPath === undefined) return answerOne(getOutput(), instruction!, rest);
      await generateBatch(getOutput(), dataPath, { ...rest, ...(limit === undefined ? {} : { limit: Number(limit) }) });
    });
}

/** @throws HuacayaError USAGE for flags that would do nothing. */
function checkForm(instruction: string | undefined, flags: GenerateFlags): void {
  if (flags.dataPath === undefined) {
    if (instruction === undefined) throw usageError('there is no instruction', 'Give one, or --data-path with rows.');
    for (const name of ['output', 'overwrite', 'limit'] as const) {
      if (flags[name] !== undefined) throw usageError(`--${name} is for the rows of a --data-path`);
    }
    return;
  }
  if (instruction !== undefined) throw usageError('give an instruction or --data-path, not both');
  if (flags.input !== undefined)
    throw usageError('--input belongs to an instruction; rows of --data-path have their own');
  if (flags.overwrite && flags.output === undefined) throw usageError('--overwrite is for an --output file');
}

async function answerOne(out: Output, instruction: string, flags: GenerationFlags & { input?: string }): Promise<void> {
  const g = await startGeneration(out, flags);
  const { assistant, model, knobs } = g;
  try {
    out.say(`${describeModel(g, model)}, template ${model.template}, ${describeKnobs(knobs)}`);
    const prompt = assistant.instructionPrompt(model.id, {
      instruction,
      ...(flags.input ? { input: flags.input } : {}),
    });
    const onText = (text: string) => {
      if (out.format !== 'json') out.piece(text);
    };
    const made = await ask({ assistant, model, prompt, knobs, onText });
    if (out.format !== 'json') out.piece('\n');
    out.json({ instruction, ...answerJson(assistant.tokenizer, model, made) });
    for (const line of logprobLines(assistant.tokenizer, made.logprobs ?? [])) out.say(line);
    out.say(statsLine(made));
  } finally {
    await assistant.close();
  }
}
