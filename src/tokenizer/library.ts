// The parts of @huggingface/tokenizers in use: its normalizers, and its translation of Oniguruma patterns to JavaScript.
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { isObject, type JsonPart, unsupported } from './definition.ts';

interface LibraryParts {
  normalizer: ((text: string) => string) | null;
  pre_tokenizer: { pattern?: RegExp | null } | null;
}

/** The library takes a whole tokenizer.json; the model in this one is empty. */
function libraryParts(parts: { normalizer?: JsonPart; pre_tokenizer?: JsonPart }): LibraryParts {
  const empty = { type: 'BPE', vocab: {}, merges: [] };
  const rest = { decoder: null, post_processor: null, added_tokens: [] };
  try {
    return new LibraryTokenizer({ normalizer: null, pre_tokenizer: null, ...parts, ...rest, model: empty }, {});
  } catch (cause) {
    throw unsupported(`the tokenizer asks for something unknown: ${(cause as Error).message}`);
  }
}

const NORMALIZERS = new Set(['Prepend', 'Replace', 'NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'Strip', 'StripAccents']);

/** The library would only warn, on the console. */
const isPattern = (pattern: unknown) =>
  isObject(pattern) && (typeof pattern.Regex === 'string' || typeof pattern.String === 'string');

function checkNormalizer(part: JsonPart): void {
  if (part.type === 'Sequence' && Array.isArray(part.normalizers)) part.normalizers.forEach(checkNormalizer);
  else if (part.type === 'Replace' && !isPattern(part.pattern)) throw unsupported('normalizer Replace has no pattern');
  else if (!NORMALIZERS.has(String(part.type)))
    throw unsupported(`normalizer ${JSON.stringify(part.type)} is not known`);
}

/** @throws HuacayaError TOKENIZER_UNSUPPORTED for a normalizer that is not known. */
export function compileNormalizer(part: JsonPart | undefined): (text: string) => string {
  if (!part) return (text) => text;
  checkNormalizer(part);
  return libraryParts({ normalizer: part }).normalizer!;
}

/** @param pattern { Regex } in Oniguruma's syntax or { String }. @throws HuacayaError TOKENIZER_UNSUPPORTED. */
export function compilePattern(pattern: JsonPart): RegExp {
  if (!isPattern(pattern)) throw unsupported(`a pattern is neither a Regex nor a String: ${JSON.stringify(pattern)}`);
  const compiled = libraryParts({ pre_tokenizer: { type: 'Split', pattern, behavior: 'Isolated', invert: false } });
  return compiled.pre_tokenizer!.pattern!;
}
