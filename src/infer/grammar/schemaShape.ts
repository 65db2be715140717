// What is known of a JSON schema before it is compiled: its keywords, its types, and whether two of them exclude each other.
import { HuacayaError } from '../../base/index.ts';

export type Schema = Readonly<Record<string, unknown>>;
export const typeNames = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'] as const;
export type TypeName = (typeof typeNames)[number];

export function schemaError(path: string, message: string, hint?: string): HuacayaError {
  return new HuacayaError('BAD_SCHEMA', `${path}: ${message}`, { ...(hint ? { hint } : {}), exitCode: 2 });
}

export const isObject = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** They describe, and forbid nothing. */
const annotations = new Set(
  '$schema $id $comment $defs definitions title description default example examples deprecated readOnly writeOnly contentEncoding contentMediaType'.split(
    ' ',
  ),
);
/** Which type a keyword speaks of; it says nothing about values of other types. */
const keywordType: Record<string, TypeName> = {
  properties: 'object',
  required: 'object',
  additionalProperties: 'object',
  propertyNames: 'object',
  items: 'array',
  prefixItems: 'array',
  minItems: 'array',
  maxItems: 'array',
  uniqueItems: 'array',
  minLength: 'string',
  maxLength: 'string',
  pattern: 'string',
  format: 'string',
  minimum: 'number',
  maximum: 'number',
  exclusiveMinimum: 'number',
  exclusiveMaximum: 'number',
};
const anyType = new Set(['type', 'nullable', 'enum', 'const', 'anyOf', 'oneOf', 'allOf', '$ref']);

/** The keywords that restrict something. @throws HuacayaError BAD_SCHEMA for one that is not supported. */
export function restrictions(schema: Schema, path: string): string[] {
  const found: string[] = [];
  for (const [key, value] of Object.entries(schema)) {
    if (annotations.has(key) || value === undefined) continue;
    // Says nothing by itself.
    if (key === 'uniqueItems' && value === false) continue;
    if (key === 'uniqueItems' || (!anyType.has(key) && !Object.hasOwn(keywordType, key))) {
      const hint = 'docs/structured-output.md lists what is supported.';
      throw schemaError(`${path}/${escapePointer(key)}`, `the keyword ${JSON.stringify(key)} is not supported`, hint);
    }
    found.push(key);
  }
  return found;
}

export const escapePointer = (key: string) => key.replaceAll('~', '~0').replaceAll('/', '~1');

/** `type`, or what the other keywords speak of, or all. */
export function typesOf(schema: Schema, path: string): TypeName[] {
  const types = givenTypes(schema, path);
  const nullable = schema.nullable;
  if (nullable !== undefined && typeof nullable !== 'boolean') {
    throw schemaError(`${path}/nullable`, 'must be true or false');
  }
  if (nullable && !types.includes('null')) types.push('null');
  // An integer is a number.
  return types.includes('number') ? types.filter((type) => type !== 'integer') : types;
}

function givenTypes(schema: Schema, path: string): TypeName[] {
  const { type } = schema;
  if (type === undefined) {
    const spoken = Object.keys(schema).flatMap((key) => (Object.hasOwn(keywordType, key) ? [keywordType[key]!] : []));
    return spoken.length > 0 ? [...new Set(spoken)] : typeNames.filter((name) => name !== 'integer');
  }
  const list: unknown[] = Array.isArray(type) ? type : [type];
  for (const name of list) {
    if (!(typeNames as readonly unknown[]).includes(name)) {
      throw schemaError(`${path}/type`, `${JSON.stringify(name)} is no type; use ${typeNames.join(', ')}`);
    }
  }
  if (list.length === 0) throw schemaError(`${path}/type`, 'the list is empty');
  return [...new Set(list as TypeName[])];
}

export function typeOfValue(value: unknown): TypeName {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value as TypeName;
}

export const hasType = (value: unknown, types: readonly TypeName[]) => {
  const type = typeOfValue(value);
  return types.includes(type) || (type === 'integer' && types.includes('number'));
};

/** The values of const or enum. */
export function listedValues(schema: Schema, path: string): unknown[] | undefined {
  if ('const' in schema && 'enum' in schema) throw schemaError(path, '"const" and "enum" do not go together');
  if ('const' in schema) return [schema.const];
  if (!('enum' in schema)) return undefined;
  if (!Array.isArray(schema.enum) || schema.enum.length === 0) {
    throw schemaError(`${path}/enum`, 'must be a list of at least one value');
  }
  return schema.enum;
}

/** Equal for equal values, whatever the order of their keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) =>
    isObject(v) ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1))) : v,
  );
}

/**
 * Whether it is certain that no value satisfies both: other types, other listed values, or a required property that tells
 * them apart. @param resolve follows $ref.
 */
export function exclusive(a: unknown, b: unknown, resolve: (schema: unknown) => unknown): boolean {
  const [one, two] = [resolve(a), resolve(b)];
  if (one === false || two === false) return true;
  if (!isObject(one) || !isObject(two)) return false;
  const [valuesA, valuesB] = [listedValues(one, '#'), listedValues(two, '#')];
  if (valuesA && valuesB) {
    const taken = new Set(valuesA.map(canonical));
    return !valuesB.some((value) => taken.has(canonical(value)));
  }
  const [typesA, typesB] = [certainTypes(one, valuesA), certainTypes(two, valuesB)];
  if (!typesA || !typesB) return false;
  if (!typesA.some((type) => typesB.includes(type))) return true;
  if (typesA.concat(typesB).some((type) => type !== 'object')) return false;
  const required = (schema: Schema) => (Array.isArray(schema.required) ? (schema.required as unknown[]) : []);
  const property = (schema: Schema, name: unknown) =>
    isObject(schema.properties) && Object.hasOwn(schema.properties, String(name))
      ? resolve(schema.properties[String(name)])
      : undefined;
  return required(one).some((name) => {
    if (!required(two).includes(name)) return false;
    const [left, right] = [property(one, name), property(two, name)];
    return (
      isObject(left) &&
      isObject(right) &&
      listedValues(left, '#') !== undefined &&
      listedValues(right, '#') !== undefined &&
      exclusive(left, right, resolve)
    );
  });
}

/** Types of its values, integers counted as numbers; undefined when it does not say. */
function certainTypes(schema: Schema, values: readonly unknown[] | undefined): TypeName[] | undefined {
  if (!values && schema.type === undefined) return undefined;
  const types = values ? values.map(typeOfValue) : typesOf(schema, '#');
  return types.map((type) => (type === 'integer' ? 'number' : type));
}
