// What a tokenizer can do: text <-> token ids, a streaming decoder, and the few ids that have a meaning.

export interface EncodeOptions {
  /** Put the BOS token in front. Default false; pass `tokenizer.addBos` for what the model asks for. */
  addBos?: boolean;
  /** Recognise special tokens such as <|im_end|> that the text spells. Default true; false for text from strangers. */
  special?: boolean;
}

export interface DecodeOptions {
  /** Leave special tokens out. Default false. */
  skipSpecial?: boolean;
}

/** Ids in, complete text out. `pushes + flush` is what `decode` gives for all ids at once. */
export interface StreamDecoder {
  /** @returns the text that has become certain; never half a character, often ''. */
  push(id: number): string;
  /** @returns what was held back: '', or U+FFFD where the ids stopped within a character. */
  flush(): string;
}

export interface Tokenizer {
  /** @throws HuacayaError TOKENIZER_NO_BOS when `addBos` is set and there is no such token. */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * Ids past the vocabulary give no text (a model may have more rows than tokens).
   * @throws HuacayaError BAD_TOKEN_ID for anything but whole numbers from 0.
   */
  decode(ids: readonly number[] | Int32Array, options?: DecodeOptions): string;
  /** Default of `skipSpecial` here: true. */
  stream(options?: DecodeOptions): StreamDecoder;
  /** The vocabulary's own spelling, e.g. 'Ġworld'. @throws HuacayaError BAD_TOKEN_ID outside the vocabulary. */
  tokenText(id: number): string;
  /** What a token adds to a text; undefined for special tokens and for ids that are no token. */
  bytes(id: number): Uint8Array | undefined;
  /** Highest id + 1. */
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  /** Every id that ends a reply: EOS first, then special tokens known for it (<|im_end|>, <|eot_id|>...). */
  readonly eosIds: readonly number[];
  readonly padId: number | undefined;
  /** The model's own settings ask for BOS in front of a text. */
  readonly addBos: boolean;
  /** The model's own settings ask for EOS behind a text; `encode` never adds it by itself. */
  readonly addEos: boolean;
  /** Jinja source. */
  readonly chatTemplate: string | undefined;
  /** What was wrong in the files and how it was mended, one sentence each. */
  readonly repairs: readonly string[];
}
