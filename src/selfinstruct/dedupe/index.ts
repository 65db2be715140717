// Near-duplicates: by ROUGE-L as the published pipelines define them, by MinHash, or by embeddings. Runs in a browser;
// node.ts adds worker threads.
export { createEmbeddingDedupe, type EmbeddingOptions } from './embeddingDedupe.ts';
export { createMinHashDedupe, type MinHashOptions } from './minHashDedupe.ts';
export { createRougeDedupe } from './rougeDedupe.ts';
export { RougeIndex } from './rougeIndex.ts';
export { type Details, type RougeOptions, rougeSettings } from './rougeOptions.ts';
export { rougeF } from './rougeScore.ts';
export { rougeTokens, type Tokenise, type TokeniseName, tokenisers, unicodeTokens } from './tokens.ts';
export type { BatchDedupe, Dedupe, Neighbour, Verdict } from './types.ts';
