// Makes a tokenizer of SentencePiece's tokenizer.model and what a Hugging Face folder says beside it. Ids and texts are
// those of the SentencePiece library; around added tokens the space rules are those of transformers' LlamaTokenizer:
// https://github.com/huggingface/transformers/pull/24565 (`legacy`).
import { PieceType, type SentencePieceModel } from '../formats/index.ts';
import { markSpecial, readAddedTokens, specialToken } from './addedTokenList.ts';
import { createTokenizer } from './createTokenizer.ts';
import {
  type AddedToken,
  badTokenizer,
  type DecodeRule,
  type EncoderDefinition,
  isObject,
  quote,
  unsupported,
} from './definition.ts';
import { createPieceEncoder } from './pieceEncoder.ts';
import { createSpBpe, userDefinedTrie } from './spBpe.ts';
import { chatTemplateOf, namedTokens, type Role, type SpecialTokenFiles, specialIds } from './specialTokens.ts';
import { createSpNormalizer, SPACE } from './spNormalizer.ts';
import type { Tokenizer } from './tokenizer.ts';
import { createUnigram } from './unigram.ts';

/**
 * Space in front of a text: `legacy` (or not said) = also behind every added token, `legacy: false` = only where the
 * text begins; add_prefix_space overrides the model's add_dummy_prefix.
 * @param tokenizerConfig tokenizer_config.json. @param specialTokensMap special_tokens_map.json. Both may be absent:
 * the model names its own BOS, EOS and padding, and BOS is put in front.
 * @throws HuacayaError BAD_TOKENIZER, TOKENIZER_UNSUPPORTED (models of whole words or single characters).
 */
export function fromSentencePiece(
  model: SentencePieceModel,
  tokenizerConfig: Record<string, unknown> = {},
  specialTokensMap?: unknown,
): Tokenizer {
  if (model.hasDenormalizer) throw unsupported('tokenizer.model: it rewrites decoded text (denormalizer_spec)');
  const ids = new Map(model.pieces.map((piece, id) => [piece, id]));
  const files = withModelNames(model, ids, tokenizerConfig, isObject(specialTokensMap) ? specialTokensMap : {});
  const repairs: string[] = [];
  const added = addedTokens(model, ids, files, repairs);
  const named = namedTokens(files, (token) => added.get(token)?.id ?? ids.get(token), repairs);
  markSpecial(added, named.values());
  const prefix = prefixRule(model, tokenizerConfig);
  const special = specialIds(named, files, undefined);
  return createTokenizer({
    model: { vocab: ids, encode: encoder(model, ids, prefix) },
    added: [...added.values()],
    normalizer: undefined,
    preTokenizer: undefined,
    decode: decodeRule(model, prefix),
    // Without any word on it LLaMA's own code is to be followed, which begins every text so.
    special: { ...special, addBos: special.addBos || (addsBos(tokenizerConfig) && named.has('bos')) },
    chatTemplate: chatTemplateOf(tokenizerConfig.chat_template),
    repairs,
  });
}

/** Classes that put BOS in front by themselves; no class: the folder holds nothing but the model. */
const addsBos = ({ add_bos_token, tokenizer_class }: Record<string, unknown>) =>
  typeof add_bos_token !== 'boolean' &&
  (tokenizer_class === undefined || /^(code)?llama|^gemma/i.test(String(tokenizer_class)));

type Prefix = 'never' | 'first' | 'always';

function prefixRule({ normalizer }: SentencePieceModel, config: Record<string, unknown>): Prefix {
  const wanted = typeof config.add_prefix_space === 'boolean' ? config.add_prefix_space : normalizer.addDummyPrefix;
  if (!wanted) return 'never';
  return config.legacy === false ? 'first' : 'always';
}

/** What neither file says is said by the model: <s> and </s> for LLaMA, <bos> and <eos> for Gemma. */
function withModelNames(
  { types, trainer }: SentencePieceModel,
  ids: ReadonlyMap<string, number>,
  config: Record<string, unknown>,
  map: Record<string, unknown>,
): SpecialTokenFiles {
  const own: Record<Role, string> = {
    unk: trainer.unkPiece,
    bos: trainer.bosPiece,
    eos: trainer.eosPiece,
    pad: trainer.padPiece,
  };
  const merged = { ...map };
  for (const [role, piece] of Object.entries(own)) {
    const type = types[ids.get(piece) ?? -1];
    const said = merged[`${role}_token`];
    const empty = said === undefined || said === null || said === '' || (isObject(said) && said.content === '');
    if (empty && type === (role === 'unk' ? PieceType.unknown : PieceType.control)) merged[`${role}_token`] = piece;
  }
  return { config, map: merged };
}

/** The model's control tokens and the unknown one, then those of the files. */
function addedTokens(
  { pieces, types }: SentencePieceModel,
  ids: ReadonlyMap<string, number>,
  { config, map }: SpecialTokenFiles,
  repairs: string[],
): Map<string, AddedToken> {
  const added = new Map<string, AddedToken>();
  for (const [id, piece] of pieces.entries()) {
    if (types[id] === PieceType.control || types[id] === PieceType.unknown) added.set(piece, specialToken(id, piece));
  }
  const bad = (message: string) => badTokenizer(`tokenizer_config.json: ${message}`);
  const own = readAddedTokens(undefined, config.added_tokens_decoder, (token) => ids.get(token), repairs, bad);
  for (const [content, token] of own) {
    const control = added.has(content);
    added.set(content, { ...token, special: token.special || control });
  }
  const more = config.additional_special_tokens ?? map.additional_special_tokens;
  for (const entry of Array.isArray(more) ? more : []) {
    const content: unknown = isObject(entry) ? entry.content : entry;
    if (typeof content !== 'string' || content === '') continue;
    const id = added.get(content)?.id ?? ids.get(content);
    if (id === undefined) {
      repairs.push(`additional_special_tokens names ${quote(content)}, which is not in the vocabulary: left it out`);
    } else markSpecial(added, [{ content, id }]);
  }
  return added;
}

function encoder(
  model: SentencePieceModel,
  ids: ReadonlyMap<string, number>,
  prefix: Prefix,
): EncoderDefinition['encode'] {
  const { trainer, normalizer } = model;
  if (trainer.modelType !== 'bpe' && trainer.modelType !== 'unigram') {
    throw unsupported(`tokenizer.model: the model is of type ${trainer.modelType.toUpperCase()}, not BPE or UNIGRAM`);
  }
  const cut = trainer.modelType === 'bpe' ? createSpBpe(model) : createUnigram(model);
  const normalize = createSpNormalizer(normalizer, {
    userDefined: userDefinedTrie(model),
    whitespaceAsSuffix: trainer.treatWhitespaceAsSuffix,
  });
  const append = createPieceEncoder(cut, { vocab: ids, byteFallback: trainer.byteFallback, unknown: unknownId(model) });
  return (text, atStart, out) => append(normalize(text, prefix === 'always' || (prefix === 'first' && atStart)), out);
}

function unknownId({ types }: SentencePieceModel): number | undefined {
  const id = types.indexOf(PieceType.unknown);
  return id === -1 ? undefined : id;
}

function decodeRule(model: SentencePieceModel, prefix: Prefix): DecodeRule {
  const { types, trainer, normalizer } = model;
  const unknown = unknownId(model);
  return {
    kind: 'spaces',
    space: SPACE,
    byteFallback: trainer.byteFallback,
    stripStart: prefix !== 'never' || normalizer.removeExtraWhitespaces,
    pieces: {
      keepsSpace: (id) => types[id] === PieceType.byte || id === unknown,
      stripEvery: normalizer.removeExtraWhitespaces,
      unknown: unknown === undefined ? undefined : { id: unknown, surface: trainer.unkSurface },
    },
  };
}
