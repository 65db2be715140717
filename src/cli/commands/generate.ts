// huacaya generate: one instruction, one streamed answer.
import { Command } from 'commander';
import { addGenerationOptions, type GenerationFlags, startGeneration, streamAnswer } from '../generation.ts';
import type { Output } from '../output.ts';

export function generateCommand(getOutput: () => Output): Command {
  return addGenerationOptions(
    new Command('generate')
      .description('answer one instruction')
      .argument('<instruction>', 'what to do')
      .option('--input <text>', 'text that the instruction is about'),
  )
    .addHelpText(
      'after',
      `
Examples:
  huacaya generate "Give three tips for staying healthy."
  huacaya generate --adapter runs/demo/adapter --input "good morning" "Translate to French."
  huacaya generate --temperature 0.8 --top-p 0.9 --seed 3 "Write a short poem about alpacas."`,
    )
    .action(async (instruction: string, flags: GenerationFlags & { input?: string }) => {
      const out = getOutput();
      const g = await startGeneration(out, flags);
      try {
        out.say(g.title);
        const ids = g.prompts.build({ instruction, ...(flags.input ? { input: flags.input } : {}) });
        await streamAnswer(out, g, ids, { instruction });
      } finally {
        await g.close();
      }
    });
}
