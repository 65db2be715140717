export { type ChatMessage, type ChatOptions, renderChat } from './chatTemplate.ts';
export { fromGguf } from './fromGguf.ts';
export { fromSentencePiece } from './fromSentencePiece.ts';
export { fromTokenizerJson } from './fromTokenizerJson.ts';
export { mendTokens, withAddedTokens } from './mendTokens.ts';
export type { DecodeOptions, EncodeOptions, StreamDecoder, Tokenizer } from './tokenizer.ts';
