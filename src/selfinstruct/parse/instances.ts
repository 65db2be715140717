// Instances of an instruction, as prepare_for_finetuning.py of Self-Instruct reads them out of an answer.
import type { RejectReason, Task } from '../task.ts';
import { type Labels, labelPattern } from './labels.ts';
import { beginning, type Parsed } from './parsed.ts';

/** "Input 1: ... Output 1: ..." -> both. */
function splitInputOutput(text: string, labels: Labels): { input: string; output: string } {
  const part = (name: 'input' | 'output') => `${labelPattern(labels, name)}\\s*\\d*\\s*[:：]`;
  const [before, after] = text.split(new RegExp(part('output')));
  const [output] = (after ?? text).split(new RegExp(part('input')));
  const input = after === undefined ? '' : before!.trim();
  return { input: input.replace(new RegExp(`^${part('input')}`), '').trim(), output: output!.trim() };
}

/** Input-first answers: "Example 1 / Input: / Output:", several times, or one pair alone. */
function generationPairs(text: string, labels: Labels): { input: string; output: string }[] {
  const example = new RegExp(`${labelPattern(labels, 'example')}\\s?\\d*\\.?`);
  if (example.test(text)) {
    return text
      .split(new RegExp(example, 'g'))
      .map((part) => part.trim())
      .filter((part) => part !== '')
      .map((part) => splitInputOutput(part, labels));
  }
  const hasOutput = new RegExp(`${labelPattern(labels, 'output')}\\s*\\d*\\s*[:：]`).test(text);
  return hasOutput ? [splitInputOutput(text, labels)] : [];
}

/** Output-first answers: "Class label: x", then an input for it. */
function classificationPairs(text: string, labels: Labels): { input: string; output: string }[] {
  const label = new RegExp(`${labelPattern(labels, 'classLabel')}[:：]`);
  return text
    .split(label)
    .slice(1)
    .map((part) => {
      const [first = '', ...rest] = part.trim().split('\n');
      return { output: first.trim(), input: rest.join('\n').trim() };
    });
}

const endsWithColon = (text: string) => /[:：]$/.test(text.trim());

/**
 * Usable instances of an answer, each once, in order.
 * @param text an answer to the input-first prompt, or with `classification` to the output-first one.
 */
export function parseInstances(
  text: string,
  instruction: string,
  { classification, stoppedForLength, labels }: { classification: boolean; stoppedForLength: boolean; labels: Labels },
): Parsed {
  const pairs = (classification ? classificationPairs : generationPairs)(text.trim(), labels);
  const rejected: Parsed['rejected'] = [];
  const reject = (reason: RejectReason, what: string) => rejected.push({ reason, text: beginning(what) });
  if (pairs.length === 0) reject('unreadable', text);
  if (stoppedForLength && pairs.length > 0) reject('truncated', pairs.pop()!.output);
  const kept = pairs.filter(({ input, output }) => {
    if (input === output) return void reject('output_is_input', output);
    if (output === '') return void reject('empty_output', input);
    if (endsWithColon(input) || endsWithColon(output)) return void reject('ends_with_colon', input || output);
    return true;
  });
  const outputs = new Map<string, string>();
  for (const { input, output } of kept) {
    if (input === '') continue;
    // One of them is wrong, and nobody knows which: the instruction is given up.
    if ((outputs.get(input) ?? output) !== output) {
      reject('conflict', instruction);
      return { items: [], rejected };
    }
    outputs.set(input, output);
  }
  const seen = new Set<string>();
  const items: Task[] = [];
  for (const { input, output } of kept) {
    const key = JSON.stringify([input, output]);
    if (seen.has(key)) continue;
    seen.add(key);
    items.push({ instruction: instruction.trim(), input, output });
  }
  return { items, rejected };
}
