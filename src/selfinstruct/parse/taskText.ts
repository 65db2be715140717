// Tasks of a free text, as far as they can be made out: numbers may be wrong or missing, "###" may stand inside an answer.
import { isNoInput, type Labels, labelPattern } from './labels.ts';
import { beginning, type Parsed } from './parsed.ts';

/** Opens a task or one of its parts: an optional number, optional bold, the label, a colon of either width. */
const head = (label: string) =>
  `^[ \\t]*(?:#{2,}[ \\t]*)?(?:\\*\\*)?(?:\\d+\\s?[.)、．][ \\t]*)?(?:\\*\\*)?${label}(?:\\*\\*)?[ \\t]*[:：](?:\\*\\*)?`;

/** Marks between tasks that are left at the end of an output. */
const separators = /(?:\n[ \t]*(?:#{3,}|-{3,}|\*{3,})[ \t]*)+$|\n[ \t]*\d+\s?[.)][ \t]*$/;

/**
 * @param text the answer; where it goes on after an open "n. Instruction:", pass `continues`.
 * @returns tasks in order; a last one that was cut off by the length limit is left out.
 */
export function parseTaskText(
  text: string,
  labels: Labels,
  { continues, stoppedForLength }: { continues: boolean; stoppedForLength: boolean },
): Parsed {
  const parsed: Parsed = { items: [], rejected: [] };
  const label = (name: keyof Labels) => labelPattern(labels, name);
  const opening = new RegExp(head(label('instruction')), 'gm');
  const openings = [...text.matchAll(opening)].map((m) => ({ from: m.index, to: m.index + m[0].length }));
  const starts = openings.map(({ to }) => to);
  // What stands before the first head is the rest of an open one, unless the teacher began anew.
  if (continues && (openings[0] === undefined || text.slice(0, openings[0].from).replace(/[#\s]/g, '') !== '')) {
    starts.unshift(0);
  }
  const ends = starts.map((start) => openings.find(({ from }) => from >= start)?.from ?? text.length);
  const inputHead = new RegExp(head(label('input')), 'm');
  const outputHead = new RegExp(head(label('output')), 'm');
  if (starts.length === 0 && text.trim() !== '') parsed.rejected.push({ reason: 'unreadable', text: beginning(text) });
  for (const [i, start] of starts.entries()) {
    const block = text.slice(start, ends[i]);
    if (i === starts.length - 1 && stoppedForLength) {
      parsed.rejected.push({ reason: 'truncated', text: beginning(block) });
      continue;
    }
    const output = outputHead.exec(block);
    if (!output) {
      if (block.replace(/[#\s]/g, '') !== '') parsed.rejected.push({ reason: 'unreadable', text: beginning(block) });
      continue;
    }
    const before = block.slice(0, output.index);
    const input = inputHead.exec(before);
    const given = input ? before.slice(input.index + input[0].length).trim() : '';
    parsed.items.push({
      instruction: (input ? before.slice(0, input.index) : before).replace(/\s+/g, ' ').trim(),
      input: isNoInput(given, labels) ? '' : given,
      output: block
        .slice(output.index + output[0].length)
        .trim()
        .replace(separators, '')
        .trim(),
    });
  }
  return parsed;
}
