// Puts the parts together: find added tokens, normalize, cut into pieces, merge; and the way back.
import { HuacayaError } from '../base/index.ts';
import { createSplitter } from './addedTokens.ts';
import { createBpe } from './bpe.ts';
import { spellBytes } from './byteLevel.ts';
import { type AddedToken, type BpeDefinition, badTokenizer, type TokenizerDefinition } from './definition.ts';
import { compileNormalizer } from './library.ts';
import { compilePreTokenizer } from './preTokenizer.ts';
import { createStreamDecoder } from './streamDecoder.ts';
import { tokenBytes } from './tokenBytes.ts';
import type { DecodeOptions, Tokenizer } from './tokenizer.ts';

/** @throws HuacayaError BAD_TOKENIZER, TOKENIZER_UNSUPPORTED. */
export function createTokenizer(definition: TokenizerDefinition): Tokenizer {
  const { model, added, special } = definition;
  const tokens = idTable(model, added);
  const addedIds = new Map(added.map((token) => [token.id, token]));
  const encodePlain = plainEncoder(definition);
  const parseAll = textParser(definition, added);
  const parseOrdinary = textParser(
    definition,
    added.filter((token) => !token.special),
  );
  const normalize = compileNormalizer(definition.normalizer);
  const bytes: (Uint8Array | undefined)[] = [];

  function bytesOf(id: number): Uint8Array | undefined {
    if (!Number.isInteger(id) || id < 0) throw badId(id, tokens.length);
    const text = tokens[id];
    if (text === undefined) return undefined;
    // A token that is matched in normalized text has taken a space with it: it gives it back.
    const matched = () => (addedIds.get(id)?.normalized ? normalize(text) : text);
    bytes[id] ??= tokenBytes(matched(), definition.decode, addedIds.has(id));
    return bytes[id];
  }

  const spaces = definition.decode.kind === 'spaces' ? definition.decode : undefined;
  const unknown = spaces?.pieces?.unknown;
  const unknownBytes = new TextEncoder().encode(unknown?.surface ?? '');
  const visible = (id: number) => {
    if (!addedIds.get(id)?.special) return bytesOf(id);
    return id === unknown?.id ? unknownBytes : undefined;
  };
  const stream = ({ skipSpecial = true }: DecodeOptions = {}) =>
    createStreamDecoder(skipSpecial ? visible : bytesOf, spaces?.stripStart ?? false, spaces?.pieces);

  return {
    encode(text, { addBos = false, special: parseSpecial = true } = {}) {
      const ids: number[] = [];
      if (addBos) {
        if (special.bosId === undefined) {
          throw new HuacayaError('TOKENIZER_NO_BOS', 'the tokenizer has no BOS token, but one was asked for');
        }
        ids.push(special.bosId);
      }
      const parse = parseSpecial ? parseAll : parseOrdinary;
      parse(
        text,
        (plain, atStart) => encodePlain(plain, atStart, ids),
        (id) => ids.push(id),
      );
      return ids;
    },
    decode(ids, { skipSpecial = false } = {}) {
      const decoder = stream({ skipSpecial });
      let text = '';
      for (const id of ids) text += decoder.push(id);
      return text + decoder.flush();
    },
    stream,
    tokenText(id) {
      const text = tokens[id];
      if (text === undefined) throw badId(id, tokens.length);
      return text;
    },
    bytes: (id) => (addedIds.get(id)?.special ? undefined : bytesOf(id)),
    vocabSize: tokens.length,
    bosId: special.bosId,
    eosId: special.eosId,
    eosIds: endsOfReply(definition),
    padId: special.padId,
    addBos: special.addBos && special.bosId !== undefined,
    addEos: special.addEos && special.eosId !== undefined,
    chatTemplate: definition.chatTemplate,
    repairs: definition.repairs,
  };
}

function badId(id: number, size: number): HuacayaError {
  return new HuacayaError('BAD_TOKEN_ID', `token id ${id} is not in the vocabulary of ${size} tokens`);
}

/** [id] -> the token as it is spelled; holes stay undefined. */
function idTable(model: TokenizerDefinition['model'], added: readonly AddedToken[]): (string | undefined)[] {
  const table: (string | undefined)[] = [];
  for (const [text, id] of model.vocab) table[id] = text;
  for (const { id, content } of added) table[id] = content;
  if (table.length === 0) throw badTokenizer('the vocabulary is empty');
  return table;
}

/** @returns a function that appends the ids of text in which there are no added tokens. */
function plainEncoder({ model, added, preTokenizer }: TokenizerDefinition) {
  if ('encode' in model) return model.encode;
  const { split, byteLevel } = compilePreTokenizer(preTokenizer);
  const special = new Set(added.filter((token) => token.special).map((token) => token.content));
  const bpe = createBpe(model, special, byteLevel ? spellBytes : (piece) => piece);
  const words = !byteLevel && !mergesCrossWords(model) ? /▁*[^▁]+|▁+/g : undefined;
  return (text: string, atStart: boolean, ids: number[]): void => {
    for (const piece of split(text, atStart)) {
      if (words) for (const word of piece.match(words) ?? []) bpe(word, ids);
      else bpe(piece, ids);
    }
  };
}

/**
 * SentencePiece models see the whole text as one piece. When no merge joins the end of a word with the '▁' of the next,
 * words can be encoded one by one, with the same result and the help of the cache.
 */
function mergesCrossWords(model: BpeDefinition): boolean {
  return (
    model.ignoreMerges || !model.vocab.has('▁') || model.merges.some(([left, right]) => /[^▁]▁/.test(left + right))
  );
}

/** @returns a function that walks through a text and hands out plain stretches and ids of added tokens. */
function textParser({ normalizer }: TokenizerDefinition, added: readonly AddedToken[]) {
  const normalize = compileNormalizer(normalizer);
  const inNormalized = (token: AddedToken) => normalizer !== undefined && token.normalized;
  const splitRaw = createSplitter(added.filter((token) => !inNormalized(token)));
  const splitNormalized = createSplitter(added.filter(inNormalized), (token) => normalize(token.content));
  return (text: string, onText: (plain: string, atStart: boolean) => void, onId: (id: number) => void): void => {
    let atStart = true;
    for (const raw of splitRaw(text)) {
      for (const segment of typeof raw === 'number' ? [raw] : splitNormalized(normalize(raw))) {
        if (typeof segment === 'number') onId(segment);
        else onText(segment, atStart);
        atStart = false;
      }
    }
  };
}

/** Special tokens that end a reply in the chat formats of LLaMA-family models. */
const REPLY_ENDS = new Set([
  '</s>',
  '<|im_end|>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|eot|>',
  '<|end|>',
  '<end_of_turn>',
]);

function endsOfReply({ added, special }: TokenizerDefinition): number[] {
  const ids = new Set(special.eosId === undefined ? [] : [special.eosId]);
  for (const id of special.replyEnds ?? []) ids.add(id);
  for (const token of added) if (token.special && REPLY_ENDS.has(token.content)) ids.add(token.id);
  return [...ids];
}
