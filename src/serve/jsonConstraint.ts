// Answers that keep to a JSON schema. The vocabulary is made ready when the first of them is asked for.
import type { Assistant } from '../assistant/index.ts';
import { jsonSchemaConstraint, type TokenConstraint, type TokenVocabulary, tokenVocabulary } from '../infer/index.ts';

const vocabularies = new WeakMap<Assistant, TokenVocabulary>();

/** @throws HuacayaError BAD_SCHEMA. */
export function jsonConstraint(assistant: Assistant, schema: unknown): TokenConstraint {
  let vocabulary = vocabularies.get(assistant);
  if (!vocabulary) {
    vocabulary = tokenVocabulary(assistant.tokenizer, assistant.generator.info.vocabSize);
    vocabularies.set(assistant, vocabulary);
  }
  return jsonSchemaConstraint(vocabulary, schema);
}
