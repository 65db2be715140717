// Log-probabilities in the two shapes that OpenAI has for them.
import type { TokenLogprob } from '../infer/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';

/** What a token says: its bytes, which may be part of a character, and their text. */
export interface TokenSpelling {
  text: string;
  bytes: number[] | null;
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Special tokens have no bytes of their own: they are spelled as the vocabulary does. */
export function tokenSpelling(tokenizer: Tokenizer): (id: number) => TokenSpelling {
  return (id) => {
    const bytes = tokenizer.bytes(id);
    if (bytes) return { text: utf8.decode(bytes), bytes: [...bytes] };
    return { text: id < tokenizer.vocabSize ? tokenizer.tokenText(id) : '', bytes: null };
  };
}

/** Tokens that end a reply are no text, and OpenAI does not report them. */
export const withoutEnds = (entries: readonly TokenLogprob[], ends: ReadonlySet<number>) =>
  entries.filter(({ id }) => !ends.has(id));

/** JSON has no -Infinity; OpenAI writes -9999 for what was impossible. */
const finite = (logprob: number) => (Number.isFinite(logprob) ? logprob : -9999);

type Spell = (id: number) => TokenSpelling;

export function chatLogprobs(entries: readonly TokenLogprob[], spell: Spell) {
  const one = ({ id, logprob }: { id: number; logprob: number }) => {
    const { text, bytes } = spell(id);
    return { token: text, logprob: finite(logprob), bytes };
  };
  return { content: entries.map((entry) => ({ ...one(entry), top_logprobs: entry.top.map(one) })), refusal: null };
}

/** @param offset characters of the answer in front of the first entry. */
export function completionLogprobs(entries: readonly TokenLogprob[], spell: Spell, offset: number) {
  const tokens = entries.map(({ id }) => spell(id).text);
  const text_offset = tokens.map((token) => {
    const at = offset;
    offset += token.length;
    return at;
  });
  return {
    tokens,
    token_logprobs: entries.map(({ logprob }) => finite(logprob)),
    top_logprobs: entries.map(({ id, logprob, top }) =>
      Object.fromEntries([...top, { id, logprob }].map((t) => [spell(t.id).text, finite(t.logprob)])),
    ),
    text_offset,
  };
}
