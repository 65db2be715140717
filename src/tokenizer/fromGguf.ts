// Reads the tokenizer in a GGUF file's metadata (keys tokenizer.ggml.*):
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
import { createTokenizer } from './createTokenizer.ts';
import {
  type AddedToken,
  badTokenizer,
  type EncoderDefinition,
  quote,
  type SpecialIds,
  type TokenizerDefinition,
  unsupported,
} from './definition.ts';
import { ggufPreTokenizer } from './ggufPreTokenizers.ts';
import { type GgufVocabulary, ggufArrays, ggufId, TokenType } from './ggufVocabulary.ts';
import { createPieceEncoder } from './pieceEncoder.ts';
import { createSpBpe } from './spBpe.ts';
import type { Tokenizer } from './tokenizer.ts';

type Metadata = ReadonlyMap<string, unknown>;

/**
 * @param metadata all key-value pairs of the file; arrays may be plain or typed.
 * @throws HuacayaError BAD_TOKENIZER (missing or contradicting arrays), TOKENIZER_UNSUPPORTED (model, pre-tokenizer).
 */
export function fromGguf(metadata: Metadata): Tokenizer {
  const kind = metadata.get('tokenizer.ggml.model');
  if (kind === undefined) {
    throw badTokenizer(
      'the file has no tokenizer.ggml.model',
      'This GGUF holds no tokenizer: is it an adapter or a part?',
    );
  }
  if (kind !== 'gpt2' && kind !== 'llama') {
    throw unsupported(`tokenizer.ggml.model is ${quote(kind)}; known: gpt2, llama`);
  }
  const vocabulary = ggufArrays(metadata);
  const build = kind === 'gpt2' ? byteLevel : sentencePiece;
  return createTokenizer(build(metadata, vocabulary));
}

function byteLevel(metadata: Metadata, vocabulary: GgufVocabulary): TokenizerDefinition {
  const { preTokenizer, normalizer, ignoreMerges, addBos } = ggufPreTokenizer(metadata.get('tokenizer.ggml.pre'));
  if (!vocabulary.merges) throw badTokenizer('the file has no tokenizer.ggml.merges');
  return {
    model: {
      vocab: vocabulary.ids,
      merges: vocabulary.merges,
      // As in the models' own files: bytes without a token are dropped.
      fuseUnk: false,
      byteFallback: false,
      ignoreMerges,
    },
    added: addedTokens(metadata, vocabulary),
    normalizer,
    preTokenizer,
    decode: { kind: 'byteLevel' },
    ...common(metadata, vocabulary, { addBos, bos: undefined, eos: undefined }),
  };
}

function sentencePiece(metadata: Metadata, vocabulary: GgufVocabulary): TokenizerDefinition {
  const { ids, tokens } = vocabulary;
  const added = addedTokens(metadata, vocabulary);
  const rstrip = stripsRight(metadata);
  const unkId = ggufId(metadata, 'unknown_token_id', tokens.length) ?? ids.get('<unk>');
  const addPrefix = metadata.get('tokenizer.ggml.add_space_prefix') !== false;
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  return {
    model: vocabulary.merges
      ? {
          vocab: ids,
          merges: vocabulary.merges,
          ...(unkId === undefined ? {} : { unkToken: tokens[unkId]! }),
          fuseUnk: true,
          byteFallback: true,
          ignoreMerges: false,
        }
      : scoredPieces(vocabulary, added, unkId),
    added: added.map((token) => ({ ...token, content: token.content.replaceAll('▁', ' '), rstrip: rstrip(token) })),
    normalizer: addPrefix ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, replace] } : replace,
    preTokenizer: undefined,
    decode: { kind: 'spaces', space: '▁', byteFallback: true, stripStart: addPrefix },
    ...common(metadata, vocabulary, { addBos: true, bos: '<s>', eos: '</s>' }),
  };
}

/** Without merges SentencePiece's own order holds: by score. */
function scoredPieces(
  { tokens, ids, types, scores }: GgufVocabulary,
  added: readonly AddedToken[],
  unknown: number | undefined,
): EncoderDefinition {
  if (!scores) throw badTokenizer('the file has neither tokenizer.ggml.scores nor tokenizer.ggml.merges');
  const typeOf = Uint8Array.from(tokens, (_, id) => types[id] ?? TokenType.normal);
  for (const { id, special } of added) if (special) typeOf[id] = TokenType.control;
  const cut = createSpBpe({ pieces: tokens, scores: Float32Array.from(scores), types: typeOf });
  const append = createPieceEncoder(cut, { vocab: ids, byteFallback: true, unknown });
  return { vocab: ids, encode: (text, _, out) => append(text, out) };
}

/** Phi-3's tokens take the white space behind them, all but these; the file cannot say so (as llama.cpp has it). */
function stripsRight(metadata: Metadata): (token: AddedToken) => boolean {
  if (metadata.get('general.architecture') !== 'phi3') return () => false;
  return ({ content }) => !['<unk>', '<s>', '<|endoftext|>'].includes(content);
}

/** Control and unknown tokens are special, user-defined ones are found in the text but not special. */
function addedTokens(metadata: Metadata, { tokens, types }: GgufVocabulary): AddedToken[] {
  const named = ['bos', 'eos', 'padding'].map((role) => ggufId(metadata, `${role}_token_id`, tokens.length));
  const added: AddedToken[] = [];
  for (const [id, content] of tokens.entries()) {
    const type = types[id];
    const special = type === TokenType.control || type === TokenType.unknown || named.includes(id);
    if (!special && type !== TokenType.userDefined) continue;
    added.push({ id, content, special, normalized: false, lstrip: false, rstrip: false, singleWord: false });
  }
  return added;
}

interface Defaults {
  addBos: boolean;
  bos: string | undefined;
  eos: string | undefined;
}

function common(metadata: Metadata, { tokens, ids }: GgufVocabulary, defaults: Defaults) {
  const id = (key: string) => ggufId(metadata, `${key}_token_id`, tokens.length);
  const flag = (key: string, otherwise: boolean) => {
    const value = metadata.get(`tokenizer.ggml.${key}`);
    return typeof value === 'boolean' ? value : otherwise;
  };
  const bosId = id('bos') ?? (defaults.bos === undefined ? undefined : ids.get(defaults.bos));
  const eosId = id('eos') ?? (defaults.eos === undefined ? undefined : ids.get(defaults.eos));
  const padId = id('padding');
  const special: SpecialIds = {
    ...(bosId === undefined ? {} : { bosId }),
    ...(eosId === undefined ? {} : { eosId }),
    ...(padId === undefined ? {} : { padId }),
    replyEnds: [id('eot'), id('eom')].filter((end) => end !== undefined),
    addBos: flag('add_bos_token', defaults.addBos),
    addEos: flag('add_eos_token', false),
  };
  const template = metadata.get('tokenizer.chat_template');
  return { special, ...(typeof template === 'string' ? { chatTemplate: template } : {}), repairs: [] };
}
