// JSON schema (2020-12, the part that docs/structured-output.md lists) -> grammar. What is not understood is refused,
// never ignored.
import type { CodePoints } from './codePoints.ts';
import { formats } from './formats.ts';
import type { Expr, Reference } from './grammar.ts';
import type { JsonGrammar, Property } from './jsonGrammar.ts';
import type { NumberBounds } from './numbers.ts';
import { regexCodePoints } from './regex.ts';
import {
  escapePointer,
  exclusive,
  hasType,
  isObject,
  listedValues,
  restrictions,
  type Schema,
  schemaError,
  type TypeName,
  typesOf,
} from './schemaShape.ts';

const mostSchemas = 5_000;
const mostProperties = 256;
/** Alternatives that are open at the same time: optional properties, branches of anyOf. An automaton follows 128. */
const mostOpen = 100;
const deepestSchema = 64;
const mostValues = 5_000;

/** @throws HuacayaError BAD_SCHEMA with the path of what is wrong, not supported or too large. */
export function compileSchema(root: unknown, json: JsonGrammar): Expr {
  const { grammar } = json;
  const references = new Map<string, Reference>();
  /** Compiled one after another, so that a chain of references does not fill the stack. */
  const waiting: (() => void)[] = [];
  let schemas = 0;

  function compile(schema: unknown, path: string, depth = 0): Expr {
    if (++schemas > mostSchemas) throw schemaError(path, `there are more than ${mostSchemas} schemas`);
    if (depth > deepestSchema) throw schemaError(path, `it is nested deeper than ${deepestSchema}`);
    if (schema === true) return json.any();
    if (schema === false) return grammar.never();
    if (!isObject(schema)) throw schemaError(path, 'a schema must be an object, true or false');
    const keys = restrictions(schema, path);
    const combining = keys.filter((key) => key === '$ref' || key.endsWith('Of'));
    if (combining.length > 1) throw schemaError(path, `${quoted(combining)} do not go together`);
    if (combining[0] === '$ref') return reference(schema, path, keys);
    if (combining[0]) return combination(combining[0], schema, path, keys, depth);
    const types = typesOf(schema, path);
    const values = listedValues(schema, path);
    if (values) return listed(values, types, keys, path);
    return grammar.choice(...types.map((type) => ofType(type, schema, path, depth + 1)));
  }

  function listed(values: readonly unknown[], types: readonly TypeName[], keys: readonly string[], path: string): Expr {
    const other = keys.filter((key) => !['const', 'enum', 'type', 'nullable'].includes(key));
    if (other.length > 0) throw schemaError(path, `${quoted(other)} beside const or enum is not supported`);
    if (values.length > mostValues) throw schemaError(path, `${values.length} values; the limit is ${mostValues}`);
    return json.values(keys.includes('type') ? values.filter((value) => hasType(value, types)) : values);
  }

  /** All references to one place share one part of the grammar, so that it may contain itself. */
  function reference({ $ref }: Schema, path: string, keys: readonly string[]): Expr {
    if (keys.length > 1) throw schemaError(path, `${quoted(keys)}: nothing may stand beside "$ref"`);
    const target = pointer(root, $ref, path);
    const place = String($ref);
    let made = references.get(place);
    if (!made) {
      const whole = grammar.reference();
      made = whole;
      references.set(place, whole);
      waiting.push(() => {
        whole.target = compile(target, place);
      });
    }
    return made;
  }

  function combination(key: string, schema: Schema, path: string, keys: readonly string[], depth: number): Expr {
    const branches = schema[key];
    if (!Array.isArray(branches) || branches.length === 0) {
      throw schemaError(`${path}/${key}`, 'must be a list of at least one schema');
    }
    if (branches.length > mostOpen) {
      throw schemaError(`${path}/${key}`, `${branches.length} schemas; the limit is ${mostOpen}`);
    }
    if (key === 'allOf' && branches.length > 1) {
      throw schemaError(`${path}/allOf`, 'only an allOf of one schema is supported', 'Merge its schemas into one.');
    }
    if (key === 'oneOf') {
      const same = overlapping(branches);
      if (same) {
        const which = `${same.join(' and ')} of oneOf may both match`;
        throw schemaError(`${path}/oneOf`, which, 'Use anyOf, or give each a required property with another const.');
      }
    }
    const beside = keys.filter((other) => other !== key);
    const distinct = new Map(branches.map((branch, i) => [JSON.stringify(branch), { branch: branch as unknown, i }]));
    const choices = [...distinct.values()].map(({ branch, i }) => {
      const place = `${path}/${key}/${i}`;
      return compile(beside.length === 0 ? branch : merged(schema, beside, branch, place), place, depth + 1);
    });
    return grammar.choice(...choices);
  }

  /** The first two branches that do not exclude each other for certain. */
  function overlapping(branches: readonly unknown[]): [number, number] | undefined {
    const resolve = (schema: unknown): unknown => {
      for (let hops = 0; isObject(schema) && schema.$ref !== undefined && hops < 100; hops++) {
        schema = pointer(root, schema.$ref, '#');
      }
      return schema;
    };
    for (let a = 0; a < branches.length; a++) {
      for (let b = a + 1; b < branches.length; b++) if (!exclusive(branches[a], branches[b], resolve)) return [a, b];
    }
    return undefined;
  }

  function ofType(type: TypeName, schema: Schema, path: string, depth: number): Expr {
    switch (type) {
      case 'null':
        return json.value(null);
      case 'boolean':
        return json.values([true, false]);
      case 'integer':
      case 'number':
        return number(schema, type === 'integer', path);
      case 'string':
        return string(schema, path);
      case 'array':
        return array(schema, path, depth);
      case 'object':
        return object(schema, path, depth);
    }
  }

  function number(schema: Schema, integer: boolean, path: string): Expr {
    const bound = (key: string): number | undefined => {
      const value = schema[key];
      if (value === undefined) return undefined;
      if (typeof value !== 'number' || !Number.isFinite(value)) throw schemaError(`${path}/${key}`, 'must be a number');
      return value;
    };
    const bounds: NumberBounds = {
      min: bound('minimum'),
      max: bound('maximum'),
      exclusiveMin: bound('exclusiveMinimum'),
      exclusiveMax: bound('exclusiveMaximum'),
    };
    return json.number(bounds, integer);
  }

  function string(schema: Schema, path: string): Expr {
    const [min, max] = range(schema, 'minLength', 'maxLength', path);
    const languages: CodePoints[] = [];
    const { pattern, format } = schema;
    if (pattern !== undefined) {
      if (typeof pattern !== 'string') throw schemaError(`${path}/pattern`, 'must be a text');
      languages.push(at(`${path}/pattern`, () => regexCodePoints(pattern)));
    }
    if (format !== undefined) {
      if (typeof format !== 'string' || !Object.hasOwn(formats, format)) {
        const known = Object.keys(formats).join(', ');
        throw schemaError(`${path}/format`, `${JSON.stringify(format)} is not supported`, `Supported: ${known}.`);
      }
      languages.push(regexCodePoints(formats[format]!, true));
    }
    return at(path, () => json.stringOf(min, max, languages));
  }

  function array(schema: Schema, path: string, depth: number): Expr {
    const { items, prefixItems = [] } = schema;
    if (Array.isArray(items)) throw schemaError(`${path}/items`, 'must be one schema', 'For a tuple use prefixItems.');
    if (!Array.isArray(prefixItems)) throw schemaError(`${path}/prefixItems`, 'must be a list of schemas');
    if (prefixItems.length > mostProperties) {
      throw schemaError(`${path}/prefixItems`, `${prefixItems.length} items; the limit is ${mostProperties}`);
    }
    const [min, max] = range(schema, 'minItems', 'maxItems', path);
    const prefix = prefixItems.map((item, i) => compile(item, `${path}/prefixItems/${i}`, depth));
    // Nothing said: a tuple ends, a list may hold anything.
    const rest = items === undefined ? prefix.length === 0 || min > prefix.length : items;
    return json.array(prefix, rest === false ? undefined : compile(rest, `${path}/items`, depth), min, max);
  }

  function object(schema: Schema, path: string, depth: number): Expr {
    const { properties = {}, required = [], additionalProperties, propertyNames } = schema;
    if (!isObject(properties)) throw schemaError(`${path}/properties`, 'must be an object');
    if (!Array.isArray(required) || required.some((name) => typeof name !== 'string')) {
      throw schemaError(`${path}/required`, 'must be a list of names');
    }
    const names = [...new Set([...Object.keys(properties), ...(required as string[])])];
    if (names.length > mostProperties) {
      throw schemaError(path, `${names.length} properties; the limit is ${mostProperties}`);
    }
    const restPath = `${path}/additionalProperties`;
    const listedOnes = names.map((name): Property => {
      const own = Object.hasOwn(properties, name);
      const value = own
        ? compile(properties[name], `${path}/properties/${escapePointer(name)}`, depth)
        : compile(additionalProperties === undefined ? true : additionalProperties, restPath, depth);
      return { name, value, required: required.includes(name) };
    });
    const optional = listedOnes.filter((p) => !p.required).length;
    if (optional > mostOpen) {
      throw schemaError(
        path,
        `${optional} optional properties; the limit is ${mostOpen}`,
        'Make some of them required.',
      );
    }
    // Nothing said: an object with listed properties has no others, one without may hold anything.
    const rest = additionalProperties === undefined ? names.length === 0 : additionalProperties;
    const others = rest === false ? undefined : compile(rest, restPath, depth);
    if (propertyNames === undefined || propertyNames === true) return json.object(listedOnes, others);
    return json.object(listedOnes, others, keyOf(propertyNames, names, `${path}/propertyNames`));
  }

  /** What the names of properties that are not listed look like. */
  function keyOf(schema: unknown, names: readonly string[], path: string): Expr | undefined {
    if (!isObject(schema)) throw schemaError(path, 'must be a schema of strings');
    const keys = restrictions(schema, path);
    if (schema.type !== undefined && schema.type !== 'string') throw schemaError(`${path}/type`, 'must be "string"');
    if (keys.every((key) => key === 'type')) return undefined;
    const values = listedValues(schema, path);
    if (values) {
      // Those that are listed as well (z.record of an enum) have their own place.
      const rest = values.filter((value) => typeof value === 'string' && !names.includes(value));
      const stranger = names.find((name) => !values.includes(name));
      if (stranger !== undefined) throw schemaError(path, `it forbids the listed property ${JSON.stringify(stranger)}`);
      return json.values(rest);
    }
    if (names.length > 0) throw schemaError(path, 'beside listed properties only {"type": "string"} or an enum');
    return compile({ type: 'string', ...schema }, path);
  }

  const whole = json.whole(compile(root, '#'));
  for (const work of waiting) work();
  return whole;
}

const quoted = (keys: readonly string[]) => keys.map((key) => JSON.stringify(key)).join(', ');

/** A branch of anyOf with what stands beside anyOf, where the two do not speak of the same thing. */
function merged(schema: Schema, beside: readonly string[], branch: unknown, path: string): unknown {
  if (branch === false) return false;
  const outer = Object.fromEntries(beside.map((key) => [key, schema[key]]));
  if (branch === true) return outer;
  if (!isObject(branch)) throw schemaError(path, 'a schema must be an object, true or false');
  const inner = restrictions(branch, path);
  // These have a meaning only together.
  const bound = (keys: readonly string[]) =>
    keys.some((key) =>
      /^(additionalProperties|properties|propertyNames|items|prefixItems|const|enum|\$ref)$|Of$/.test(key),
    );
  const twice = inner.find((key) => beside.includes(key) && JSON.stringify(branch[key]) !== JSON.stringify(outer[key]));
  if (twice !== undefined || (bound(inner) && bound(beside)) || inner.includes('$ref')) {
    throw schemaError(path, `it cannot be joined with ${quoted(beside)} beside it`, 'Move those into each branch.');
  }
  return { ...branch, ...outer };
}

function range(schema: Schema, minKey: string, maxKey: string, path: string): [number, number] {
  const count = (key: string, otherwise: number): number => {
    const value = schema[key];
    if (value === undefined) return otherwise;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 2 ** 31) {
      throw schemaError(`${path}/${key}`, 'must be a whole number from 0 to 2^31');
    }
    return value;
  };
  const [min, max] = [count(minKey, 0), count(maxKey, Number.POSITIVE_INFINITY)];
  if (min > max) throw schemaError(path, `${minKey} is ${min}, ${maxKey} is ${max}`);
  return [min, max];
}

/** Follows a JSON pointer (RFC 6901) within the schema. */
function pointer(root: unknown, ref: unknown, path: string): unknown {
  const fail = (why: string) => schemaError(`${path}/$ref`, `${JSON.stringify(ref)} ${why}`);
  if (typeof ref !== 'string' || !/^#(\/|$)/.test(ref)) {
    throw fail('is not supported: only references within the schema are ("#/$defs/name")');
  }
  let target: unknown = root;
  for (const part of ref.split('/').slice(1)) {
    const key = decode(part).replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof target !== 'object' || target === null || !Object.hasOwn(target, key)) throw fail('leads nowhere');
    target = (target as Record<string, unknown>)[key];
  }
  return target;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Errors from below are told with the path. */
function at<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (e) {
    if (e instanceof Error && 'code' in e && e.code === 'BAD_SCHEMA') throw schemaError(path, e.message);
    throw e;
  }
}
