// Answers that keep to a JSON schema, for the model that is served.
import { type Assistant, schemaConstraint } from '../assistant/index.ts';
import type { TokenConstraint } from '../infer/index.ts';

/** @throws HuacayaError BAD_SCHEMA. */
export const jsonConstraint = (assistant: Assistant, schema: unknown): TokenConstraint =>
  schemaConstraint(assistant.tokenizer, schema, assistant.generator.info.vocabSize);
