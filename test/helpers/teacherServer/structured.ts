// An answer that fits a JSON schema, with tasks of the grammar where property names ask for them.
import type { Rng } from '../../../src/base/index.ts';
import { type Language, makeTask, passage, pick, type Task } from './grammar.ts';

interface Schema {
  type?: string | string[];
  properties?: Record<string, Schema>;
  items?: Schema;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  minItems?: number;
  maxItems?: number;
  minimum?: number;
  maximum?: number;
}

export function fillSchema(schema: Schema, rng: Rng, language: Language, name = '', task?: Task): unknown {
  task ??= makeTask(rng, language);
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return pick(rng, schema.enum);
  if (schema.anyOf) return fillSchema(schema.anyOf[0]!, rng, language, name, task);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === 'object' || schema.properties) {
    const entries = Object.entries(schema.properties ?? {});
    return Object.fromEntries(entries.map(([key, value]) => [key, fillSchema(value, rng, language, key, task)]));
  }
  if (type === 'array') {
    const length = Math.max(
      schema.minItems ?? 0,
      Math.min(schema.maxItems ?? 20, /instance|example/i.test(name) ? 3 : 20),
    );
    // Every item is a task of its own.
    return Array.from({ length }, () => fillSchema(schema.items ?? {}, rng, language, name));
  }
  if (type === 'boolean') return /classif/i.test(name) ? task.classification : rng.below(2) === 0;
  if (type === 'integer' || type === 'number') {
    const [low, high] = [schema.minimum ?? 1, schema.maximum ?? 5];
    return low + rng.below(Math.floor(high - low) + 1);
  }
  if (/instruct|task|question|prompt/i.test(name)) return task.instruction;
  if (/input|context/i.test(name)) return task.input;
  if (/output|answer|response|label/i.test(name)) return task.output;
  return passage(rng, 1);
}
