// huacaya compare: the same questions to the base model and to the adapter, side by side.
import { Command } from 'commander';
import { usageError } from '../../base/index.ts';
import { readRecords } from '../../data/node.ts';
import { generateText } from '../../infer/index.ts';
import { addGenerationOptions, type GenerationFlags, startGeneration } from '../generation.ts';
import type { Output } from '../output.ts';
import { sideBySide } from '../sideBySide.ts';

interface CompareFlags extends GenerationFlags {
  dataPath?: string;
  limit: string;
}

export function compareCommand(getOutput: () => Output): Command {
  return addGenerationOptions(
    new Command('compare')
      .description('base model and adapter side by side')
      .argument('[instructions...]', 'questions for both')
      .option('--data-path <file>', 'take the questions from Alpaca rows')
      .option('--limit <n>', 'so many rows of --data-path', '5'),
  )
    .addHelpText(
      'after',
      `
Both get the same prompt, the one that the adapter was trained with.

Examples:
  huacaya compare --adapter runs/demo/adapter "Why is the sky blue?"
  huacaya compare --adapter runs/demo/adapter --data-path examples/in-short.heldout.jsonl --limit 3`,
    )
    .action(async (instructions: string[], flags: CompareFlags) => {
      const out = getOutput();
      if (!flags.adapter) throw usageError('compare needs --adapter', 'Name the folder that `huacaya train` printed.');
      const limit = Number(flags.limit);
      if (!Number.isInteger(limit) || limit < 1)
        throw usageError(`--limit is ${flags.limit}; use a whole number from 1`);
      const rows = flags.dataPath ? (await readRecords(flags.dataPath)).records.slice(0, limit) : [];
      const questions = [...instructions.map((instruction) => ({ instruction, input: '' })), ...rows];
      if (questions.length === 0) throw usageError('there is no question', 'Give one, or --data-path with rows.');
      const g = await startGeneration(out, flags);
      try {
        out.say(`template ${g.prompts.name}, ${g.mode}`);
        const { adapter, ...baseOptions } = g.options;
        for (const [i, { instruction, input }] of questions.entries()) {
          const ids = g.prompts.build({ instruction, input });
          out.progress(`answering ${i + 1} of ${questions.length}`);
          const base = await generateText(g.pass, g.tokenizer, ids, baseOptions);
          const tuned = await generateText(g.pass, g.tokenizer, ids, {
            ...baseOptions,
            ...(adapter ? { adapter } : {}),
          });
          out.json({ instruction, input, base: base.text, adapter: tuned.text });
          if (out.format === 'json') continue;
          const lines = sideBySide(
            { title: 'base', text: base.text.trim() },
            { title: 'adapter', text: tuned.text.trim() },
            out.columns,
          );
          out.data([`> ${instruction}${input ? `\n> ${input}` : ''}`, '', ...lines, ''].join('\n'));
        }
      } finally {
        await g.close();
      }
    });
}
