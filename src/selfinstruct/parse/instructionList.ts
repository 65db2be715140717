// Instructions of a numbered list: exactly as Self-Instruct's first stage reads them, and in a way that keeps more.
import type { RejectReason } from '../task.ts';
import { beginning, type Parsed } from './parsed.ts';

const squeeze = (text: string) => text.replace(/\s+/g, ' ').trim();

/** Python's str.capitalize(): the first letter large, all others small. */
const capitalise = (text: string) => {
  const [first = '', ...rest] = text;
  return first.toUpperCase() + rest.join('').toLowerCase();
};

/** bootstrap_instructions.py: everything is thrown away if the answer stopped for length; names lose their capitals. */
export function parseFaithfulInstructions(text: string, stoppedForLength: boolean): Parsed<string> {
  if (stoppedForLength) return { items: [], rejected: [{ reason: 'truncated', text: beginning(text) }] };
  const items = text
    .split(/\n\d+\s?\. /)
    .map((part) => capitalise(squeeze(part)))
    .filter((part) => part !== '');
  return { items, rejected: [] };
}

/** Any numbering; of an answer that stopped for length only the last one goes; only the first letter is made large. */
export function parseInstructions(text: string, stoppedForLength: boolean): Parsed<string> {
  const items = text
    .split(/(?:^|\n)[ \t]*(?:\d+\s?[.)、．:：]|[-*•])[ \t]+|(?:^|\n)[ \t]*\d+[、．.](?=[^\s\d])/)
    .map(squeeze)
    .filter((part) => part !== '')
    .map((part) => part.replace(/^(?:\*\*|")(.*?)(?:\*\*|")$/, '$1'))
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1));
  const rejected: { reason: RejectReason; text: string }[] = [];
  if (stoppedForLength && items.length > 0) rejected.push({ reason: 'truncated', text: beginning(items.pop()!) });
  return { items, rejected };
}
