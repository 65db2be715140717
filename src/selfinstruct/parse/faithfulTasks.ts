// Tasks of an answer exactly as stanford_alpaca's post-processing reads them: "###" between, seven parts each, numbers in step.
import { beginning, type Parsed } from './parsed.ts';

const trim = (text: string) => text.trim();

/**
 * @param text the answer, which goes on after "{next}. Instruction:".
 * @param next number of the first task that was asked for.
 */
export function parseFaithfulTasks(text: string, next: number, stoppedForLength: boolean): Parsed {
  const parsed: Parsed = { items: [], rejected: [] };
  const blocks = `${next}. Instruction:${text}`.split('###');
  for (const [i, block] of blocks.entries()) {
    if (i === blocks.length - 1 && stoppedForLength) {
      parsed.rejected.push({ reason: 'truncated', text: beginning(block) });
      continue;
    }
    // Python's split keeps the captured word: name, text, name, text, name, text behind what comes first.
    const parts = block.split(new RegExp(`${next + i}\\.\\s+(Instruction|Input|Output):`));
    if (parts.length !== 7) {
      if (block.trim() !== '') parsed.rejected.push({ reason: 'unreadable', text: beginning(block) });
      continue;
    }
    const [instruction, input, output] = [parts[2]!, parts[4]!, parts[6]!].map(trim) as [string, string, string];
    parsed.items.push({ instruction, input: input.toLowerCase() === '<noinput>' ? '' : input, output });
  }
  return parsed;
}
