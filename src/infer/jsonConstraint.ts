// Constrained output: JSON, JSON of a schema, a regular expression, one of several texts.
import { HuacayaError, usageError } from '../base/index.ts';
import type { TokenConstraint } from './constraint.ts';
import { spell } from './grammar/codePoints.ts';
import type { Grammar } from './grammar/grammar.ts';
import { grammarConstraint } from './grammar/grammarConstraint.ts';
import { JsonGrammar } from './grammar/jsonGrammar.ts';
import { regexCodePoints } from './grammar/regex.ts';
import { compileSchema } from './grammar/schema.ts';
import type { TokenVocabulary } from './grammar/vocabulary.ts';

const longestSchema = 256 * 1024;
const mostChoices = 5_000;

/**
 * JSON that satisfies the schema, and nothing behind it.
 * @throws HuacayaError BAD_SCHEMA naming the keyword and its path when the schema is wrong, not supported or too large.
 */
export function jsonSchemaConstraint(vocabulary: TokenVocabulary, schema: unknown): TokenConstraint {
  return grammarConstraint(vocabulary, `schema ${schemaText(schema)}`, (grammar) => {
    const json = new JsonGrammar(grammar);
    return { root: compileSchema(schema, json), char: json.char };
  });
}

/** Any JSON object. */
export function jsonObjectConstraint(vocabulary: TokenVocabulary): TokenConstraint {
  return jsonSchemaConstraint(vocabulary, { type: 'object' });
}

/** A text that matches from its start to its end. @throws HuacayaError BAD_SCHEMA. */
export function regexConstraint(vocabulary: TokenVocabulary, pattern: string): TokenConstraint {
  const build = (grammar: Grammar) => ({ root: grammar.lexeme(spell(regexCodePoints(pattern, true), false)) });
  return grammarConstraint(vocabulary, `regex ${pattern}`, build);
}

/** One of these texts. @throws HuacayaError USAGE. */
export function choiceConstraint(vocabulary: TokenVocabulary, texts: readonly string[]): TokenConstraint {
  if (texts.length === 0 || texts.length > mostChoices) {
    throw usageError(`${texts.length} choices; give 1 to ${mostChoices}`);
  }
  return grammarConstraint(vocabulary, `choice ${JSON.stringify(texts)}`, (grammar) => ({
    root: grammar.oneOf(texts),
  }));
}

/** What OpenAI's `response_format` says; undefined for plain text. @throws HuacayaError USAGE, BAD_SCHEMA. */
export function responseFormatConstraint(vocabulary: TokenVocabulary, format: unknown): TokenConstraint | undefined {
  if (format === undefined || format === null) return undefined;
  const { type, json_schema: named } = format as { type?: unknown; json_schema?: { schema?: unknown } };
  if (type === 'text') return undefined;
  if (type === 'json_object') return jsonObjectConstraint(vocabulary);
  if (type !== 'json_schema') {
    throw usageError(`response_format.type is ${JSON.stringify(type)}; use text, json_object or json_schema`);
  }
  if (named?.schema === undefined) throw usageError('response_format.json_schema.schema is missing');
  return jsonSchemaConstraint(vocabulary, named.schema);
}

function schemaText(schema: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(schema);
  } catch (cause) {
    throw new HuacayaError('BAD_SCHEMA', 'the schema is not JSON, or nested too deeply', { cause, exitCode: 2 });
  }
  if (text === undefined) throw new HuacayaError('BAD_SCHEMA', 'the schema is not JSON', { exitCode: 2 });
  if (text.length > longestSchema) {
    const message = `the schema has ${text.length} characters; the limit is ${longestSchema}`;
    throw new HuacayaError('BAD_SCHEMA', message, { exitCode: 2 });
  }
  return text;
}
