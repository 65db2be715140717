// huacaya chat: a conversation in the terminal.
import { Command } from 'commander';
import { converse } from '../chat/converse.ts';
import { addGenerationOptions, describeModel, type GenerationFlags, startGeneration } from '../generation.ts';
import { describeKnobs } from '../knobsInUse.ts';
import type { Output } from '../output.ts';

interface ChatFlags extends GenerationFlags {
  system?: string;
}

export function chatCommand(getOutput: () => Output): Command {
  return addGenerationOptions(
    new Command('chat').description('talk to a model in the terminal').option('--system <text>', 'system message'),
  )
    .addHelpText(
      'after',
      `
Ctrl-C stops an answer, Ctrl-D leaves, /help lists the commands of the chat.
With a prompt template such as alpaca every question stands alone; the model's chat template remembers.

Examples:
  huacaya chat --adapter runs/demo/adapter
  huacaya chat --base-model smollm2-135m-instruct --adapter short=runs/demo/adapter --adapter runs/other`,
    )
    .action(async (flags: ChatFlags) => {
      const out = getOutput();
      const { assistant, model, knobs } = await startGeneration(out, flags);
      try {
        out.say(`${describeModel({ assistant, knobs }, model)}, template ${model.template}, ${describeKnobs(knobs)}`);
        out.say('Type a message; /help lists the commands, /bye leaves.');
        const { system } = flags;
        await converse({ out, assistant, model, knobs, system, turns: [], retries: 0, file: undefined });
      } finally {
        await assistant.close();
      }
    });
}
