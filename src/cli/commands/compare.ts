// huacaya compare: the same questions to the base model and to its adapters, at the same time.
import { Command } from 'commander';
import { usageError } from '../../base/index.ts';
import { readRecords } from '../../data/node.ts';
import { answerJson, ask } from '../answer.ts';
import { addGenerationOptions, type Generation, type GenerationFlags, startGeneration } from '../generation.ts';
import { inOrder } from '../inOrder.ts';
import { describeKnobs } from '../knobsInUse.ts';
import type { Output } from '../output.ts';
import { sideBySide } from '../sideBySide.ts';

interface CompareFlags extends GenerationFlags {
  dataPath?: string;
  limit: string;
}

interface Form {
  instruction: string;
  input: string;
}

export function compareCommand(getOutput: () => Output): Command {
  return addGenerationOptions(
    new Command('compare')
      .description('base model and adapters side by side')
      .argument('[instructions...]', 'questions for all of them')
      .option('--data-path <file>', 'take the questions from Alpaca rows')
      .option('--limit <n>', 'so many rows of --data-path', '5'),
  )
    .addHelpText(
      'after',
      `
Each adapter is asked the way it was trained, the base model the way the first adapter was.

Examples:
  huacaya compare --adapter runs/demo/adapter "Why is the sky blue?"
  huacaya compare --adapter short=runs/demo/adapter --adapter runs/other "Why is the sky blue?"
  huacaya compare --adapter runs/demo/adapter --data-path examples/in-short.heldout.jsonl --limit 3`,
    )
    .action(async (instructions: string[], flags: CompareFlags) => {
      const out = getOutput();
      if (!flags.adapter) throw usageError('compare needs --adapter', 'Name the folder that `huacaya train` printed.');
      const limit = Number(flags.limit);
      if (!Number.isInteger(limit) || limit < 1)
        throw usageError(`--limit is ${flags.limit}; use a whole number from 1`);
      const rows = flags.dataPath ? (await readRecords(flags.dataPath, { questionsOnly: true })).records : [];
      const questions = [...instructions.map((instruction) => ({ instruction, input: '' })), ...rows.slice(0, limit)];
      if (questions.length === 0) throw usageError('there is no question', 'Give one, or --data-path with rows.');
      const g = await startGeneration(out, flags);
      try {
        await compare(out, g, questions);
      } finally {
        await g.assistant.close();
      }
    });
}

async function compare(out: Output, g: Generation, questions: readonly Form[]): Promise<void> {
  const { assistant, knobs, adapters } = g;
  const models = assistant.models;
  const templates = [...new Set(adapters.map((a) => a.template))];
  out.say(`template ${templates.join(', ')}, ${describeKnobs(knobs)}`);
  const width = Math.max(1, Math.floor(assistant.generator.info.slots / models.length));
  const answerAll = (question: Form) =>
    Promise.all(
      models.map(async (model) => {
        const asker = model.kind === 'base' ? adapters[0]!.id : model.id;
        const prompt = assistant.instructionPrompt(asker, question);
        return { model, made: await ask({ assistant, model, prompt, knobs }) };
      }),
    );
  let done = 0;
  out.progress(`answering ${questions.length === 1 ? '' : `1 of ${questions.length}`}`.trimEnd());
  for await (const answers of inOrder(questions, width, answerAll)) {
    const { instruction, input } = questions[done++]!;
    const asJson = answers.map(({ model, made }) => answerJson(assistant.tokenizer, model, made));
    out.json({ instruction, input, answers: asJson });
    if (out.format !== 'json') {
      const texts = answers.map(({ model, made }) => ({
        title: model.kind === 'base' ? 'base' : model.id,
        text: made.text.trim(),
      }));
      const lines = sideBySide(texts, out.columns);
      out.data([`> ${instruction}${input ? `\n> ${input}` : ''}`, '', ...lines, ''].join('\n'));
    }
    if (done < questions.length) out.progress(`answering ${done + 1} of ${questions.length}`);
  }
}
