// JSON of a schema for a tokenizer. What is made of the tokenizer once serves all requests.
import { jsonSchemaConstraint, type TokenConstraint, type TokenVocabulary, tokenVocabulary } from '../infer/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';

const vocabularies = new WeakMap<Tokenizer, Map<number, TokenVocabulary>>();

/**
 * A constraint for one request.
 * @param vocabSize of the model: it may have more rows than its tokenizer has tokens.
 * @throws HuacayaError BAD_SCHEMA.
 */
export function schemaConstraint(tokenizer: Tokenizer, schema: unknown, vocabSize: number): TokenConstraint {
  const ofSizes = vocabularies.get(tokenizer) ?? new Map<number, TokenVocabulary>();
  vocabularies.set(tokenizer, ofSizes);
  const vocabulary = ofSizes.get(vocabSize) ?? tokenVocabulary(tokenizer, vocabSize);
  ofSizes.set(vocabSize, vocabulary);
  return jsonSchemaConstraint(vocabulary, schema);
}

/** Finds what is wrong with a schema before there is a model. @throws HuacayaError BAD_SCHEMA. */
export function checkSchema(schema: unknown): void {
  jsonSchemaConstraint(tokenVocabulary({ vocabSize: 1, eosIds: [0], bytes: () => undefined }), schema);
}
