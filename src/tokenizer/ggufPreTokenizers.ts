// The split patterns behind the names in tokenizer.ggml.pre. A name stands for the pre-tokenizer of a published model;
// what that does is told by the model's tokenizer.json, and by llama.cpp's src/llama-vocab.cpp.
import type { JsonPart } from './definition.ts';
import { quote, unsupported } from './definition.ts';
import { GPT2_PATTERN } from './preTokenizer.ts';

export interface GgufPreTokenizer {
  preTokenizer: JsonPart;
  normalizer?: JsonPart;
  ignoreMerges: boolean;
  /** Where the file does not say. */
  addBos: boolean;
}

/** Like GPT-2's, but words take any one character in front, and numbers have at most `digits` digits. */
const wordPattern = (digits: string) =>
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

const BYTES: JsonPart = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };

const splits = (...patterns: string[]): JsonPart => ({
  type: 'Sequence',
  pretokenizers: [
    ...patterns.map((Regex) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false })),
    BYTES,
  ],
});

const gpt2 = (): GgufPreTokenizer => ({ preTokenizer: splits(GPT2_PATTERN), ignoreMerges: false, addBos: false });
/** Every digit alone. */
const digits = (): GgufPreTokenizer => ({ ...gpt2(), preTokenizer: splits('\\p{N}', GPT2_PATTERN) });
const llama3 = (): GgufPreTokenizer => ({
  preTokenizer: splits(wordPattern('{1,3}')),
  ignoreMerges: true,
  addBos: true,
});
const qwen2 = (): GgufPreTokenizer => ({
  preTokenizer: splits(wordPattern('')),
  normalizer: { type: 'NFC' },
  ignoreMerges: false,
  addBos: false,
});

const KNOWN = new Map<string, () => GgufPreTokenizer>([
  ['default', gpt2],
  ['gpt-2', gpt2],
  ['gpt2', gpt2],
  ['smollm', digits],
  ['starcoder', digits],
  ['refact', digits],
  ['llama3', llama3],
  ['llama-v3', llama3],
  ['llama-bpe', llama3],
  ['smaug-bpe', llama3],
  ['falcon3', llama3],
  ['qwen2', qwen2],
  ['deepseek-r1-qwen', qwen2],
]);

/** @throws HuacayaError TOKENIZER_UNSUPPORTED that names the pre-tokenizer. */
export function ggufPreTokenizer(name: unknown): GgufPreTokenizer {
  const make = KNOWN.get(String(name ?? 'default'));
  if (make) return make();
  throw unsupported(`tokenizer.ggml.pre is ${quote(name)}; known: ${[...KNOWN.keys()].join(', ')}`);
}
