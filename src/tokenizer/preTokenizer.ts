// Cuts text into the pieces within which tokens may merge. Part names and meanings are those of tokenizer.json:
// https://huggingface.co/docs/tokenizers/api/pre-tokenizers
import { isObject, type JsonPart, unsupported } from './definition.ts';
import { compilePattern } from './library.ts';

/** @param atStart the text is the very beginning of what is encoded. */
type Step = (text: string, atStart: boolean) => readonly string[];

export interface PreTokenizer {
  split: Step;
  /** Pieces are to be spelled in the byte-level alphabet. */
  byteLevel: boolean;
}

/** Contractions, words, numbers, the rest, white space: the pattern of GPT-2, in Oniguruma's syntax. */
export const GPT2_PATTERN = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** @throws HuacayaError TOKENIZER_UNSUPPORTED. */
export function compilePreTokenizer(part: JsonPart | undefined): PreTokenizer {
  const parts = part ? flatten(part) : [];
  const last = parts.at(-1);
  if (last?.type !== 'ByteLevel') return { split: chain(parts.map(compileStep)), byteLevel: false };
  const steps = parts.slice(0, -1).map(compileStep);
  if (last.add_prefix_space === true) steps.push((text) => [text.startsWith(' ') ? text : ` ${text}`]);
  if (last.use_regex !== false) steps.push(isolated(compilePattern({ Regex: GPT2_PATTERN })));
  return { split: chain(steps), byteLevel: true };
}

function flatten(part: JsonPart): JsonPart[] {
  if (part.type !== 'Sequence') return [part];
  if (!Array.isArray(part.pretokenizers)) throw unsupported('a pre-tokenizer of type Sequence has no list');
  return part.pretokenizers.flatMap(flatten);
}

function chain(steps: readonly Step[]): Step {
  if (steps.length === 1) return steps[0]!;
  return (text, atStart) =>
    steps.reduce<readonly string[]>(
      (pieces, step) =>
        pieces.length === 1 ? step(pieces[0]!, atStart) : pieces.flatMap((p, i) => step(p, atStart && i === 0)),
      [text],
    );
}

function compileStep(part: JsonPart): Step {
  switch (part.type) {
    case 'Split':
      return compileSplit(part);
    case 'Digits':
      // Rust's is_numeric is \p{N}: more than JavaScript's \d.
      return isolated(compilePattern({ Regex: part.individual_digits === true ? '\\p{N}' : '\\p{N}+' }));
    case 'Metaspace':
      return compileMetaspace(part);
    case 'ByteLevel':
      throw unsupported('pre-tokenizer ByteLevel should be the last one');
    default:
      throw unsupported(`pre-tokenizer ${JSON.stringify(part.type)} is not known`);
  }
}

/** Which parts of the text become pieces: what the pattern matches, and what lies between the matches. */
interface Keep {
  matches: boolean;
  gaps: boolean;
}

function cut(regex: RegExp, keep: Keep): Step {
  return (text) => {
    const pieces: string[] = [];
    let end = 0;
    for (const { 0: match, index } of text.matchAll(regex)) {
      if (keep.gaps && index > end) pieces.push(text.slice(end, index));
      if (keep.matches && match !== '') pieces.push(match);
      end = index + match.length;
    }
    if (keep.gaps && end < text.length) pieces.push(text.slice(end));
    return pieces;
  };
}

const isolated = (regex: RegExp) => cut(regex, { matches: true, gaps: true });

/** Gemma's: a delimiter belongs to the piece before it, unless that is a delimiter too. */
function mergedWithPrevious(regex: RegExp, matchesDelimit: boolean): Step {
  return (text) => {
    const pieces: string[] = [];
    let open = false;
    let end = 0;
    const take = (piece: string, isMatch: boolean) => {
      if (piece === '') return;
      const delimits = isMatch === matchesDelimit;
      if (delimits && open) pieces.push(pieces.pop() + piece);
      else pieces.push(piece);
      open = !delimits;
    };
    for (const { 0: match, index } of text.matchAll(regex)) {
      take(text.slice(end, index), false);
      take(match, true);
      end = index + match.length;
    }
    take(text.slice(end), false);
    return pieces;
  };
}

function compileSplit(part: JsonPart): Step {
  if (!isObject(part.pattern)) throw unsupported('a pre-tokenizer of type Split has no pattern');
  const regex = compilePattern(part.pattern);
  const behavior = String(part.behavior).toLowerCase();
  if (behavior === 'isolated') return isolated(regex);
  // Inverted: what does not match is the delimiter.
  if (behavior === 'removed') return cut(regex, { matches: part.invert === true, gaps: part.invert !== true });
  if (behavior === 'mergedwithprevious') return mergedWithPrevious(regex, part.invert !== true);
  throw unsupported(`split behavior ${JSON.stringify(part.behavior)} is not known`);
}

/** SentencePiece's spaces: ' ' becomes '▁', and a text gets one in front. */
function compileMetaspace(part: JsonPart): Step {
  const space = typeof part.replacement === 'string' ? part.replacement : '▁';
  const scheme = part.prepend_scheme ?? (part.add_prefix_space === false ? 'never' : 'always');
  return (text, atStart) => {
    let spelled = text.replaceAll(' ', space);
    const prepend = scheme === 'always' || (scheme === 'first' && atStart);
    if (prepend && !spelled.startsWith(space)) spelled = space + spelled;
    return part.split === false ? [spelled] : splitBefore(spelled, space);
  };
}

function splitBefore(text: string, delimiter: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  for (let at = text.indexOf(delimiter, 1); at !== -1; at = text.indexOf(delimiter, at + 1)) {
    pieces.push(text.slice(start, at));
    start = at;
  }
  pieces.push(text.slice(start));
  return pieces;
}
