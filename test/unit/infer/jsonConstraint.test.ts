// Constrained output: whatever is sampled from the masks is JSON of the schema; what the schema forbids cannot be spelled.
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../../src/base/index.ts';
import {
  choiceConstraint,
  jsonObjectConstraint,
  jsonSchemaConstraint,
  regexConstraint,
  responseFormatConstraint,
  tokenVocabulary,
} from '../../../src/infer/index.ts';
import { fromTokenizerJson } from '../../../src/tokenizer/index.ts';
import { tinyTokenizerConfig, tinyTokenizerJson } from '../../helpers/tinyTokenizer.ts';
import { sentencePieceJson } from '../tokenizer/smallTokenizers.ts';
import {
  accepts,
  allowedIds,
  byteVocabulary,
  isAllowed,
  plainBytes,
  randomWalk,
  spell,
  textOf,
} from './constraintHelpers.ts';

/** Tokens as real vocabularies have them: across the borders of JSON's parts, and within characters. */
// biome-ignore format: one a line would be fifty lines.
const rich = byteVocabulary([
  '{"', '":', '": ', '","', '", "', '"}', '"},{"', '[]', '{}', '[[', ']]', '],[', 'true', 'false', 'null', 'tr', 'ue',
  '10', '123', '0.', '.5', 'e1', '-1', ',\n  ', '\n', '    ', 'the', ' the', 'name', 'é', '中', '中文', '🙂', '\\n', '\\u00',
  '\\ud83d', '\\ude', 'a"', '"a', 'k1', 'k2":', 'abc', 'ABC', 'abcdefghijklmnopqrstuvwxyz', 'name',
  Uint8Array.of(0xe4, 0xb8), Uint8Array.of(0x80, 0x22), Uint8Array.of(0xf0, 0x9f), Uint8Array.of(0x99, 0x82, 0x22),
]);

const ajv = new Ajv2020({ strict: false, validateFormats: false });

const name = fc.constantFrom('name', 'k1', 'k2', 'a', 'é', 'with "quotes"', 'line\nbreak', '');
const bounds = (low: string, high: string, most: number) =>
  fc.tuple(fc.option(fc.nat(most), { nil: undefined }), fc.option(fc.nat(most), { nil: undefined })).map(([a, b]) => {
    const [min, max] = a !== undefined && b !== undefined && a > b ? [b, a] : [a, b];
    return { ...(min === undefined ? {} : { [low]: min }), ...(max === undefined ? {} : { [high]: max }) };
  });
const number = fc.record(
  {
    type: fc.constantFrom('number', 'integer'),
    minimum: fc.integer({ min: -1200, max: 0 }),
    maximum: fc.constantFrom(0.25, 1, 17, 1e6, 2 ** 60),
    exclusiveMaximum: fc.constantFrom(3, 99.5),
  },
  { requiredKeys: ['type'] },
);
// The validator stumbles over values whose toString is not a function.
const json = fc
  .jsonValue({ maxDepth: 2 })
  .filter((value) => !/"(toString|valueOf)"/.test(JSON.stringify(value)))
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown);
const schemaOf = fc.letrec<{ schema: Record<string, unknown> }>((tie) => ({
  schema: fc.oneof(
    { depthSize: 'small', maxDepth: 4 },
    fc.constantFrom({ type: 'boolean' }, { type: 'null' }, { type: ['string', 'null'] }, { $ref: '#/$defs/tree' }),
    number,
    bounds('minLength', 'maxLength', 12).map((b) => ({ type: 'string', ...b })),
    fc.constantFrom('^[A-Z]{3}-\\d{1,4}$', '^a?b+$', '^(the|a) .{1,5}$', '^[^a-y]{2,4}$', '^"\\\\').map((pattern) => ({
      type: 'string',
      pattern,
    })),
    fc.uniqueArray(json, { minLength: 1, maxLength: 4, selector: (v) => JSON.stringify(v) }).map((e) => ({ enum: e })),
    json.map((value) => ({ const: value })),
    fc.constantFrom({}, { type: 'object' }, { type: 'array' }),
    fc.tuple(tie('schema'), bounds('minItems', 'maxItems', 4)).map(([items, b]) => ({ type: 'array', items, ...b })),
    fc.tuple(fc.array(tie('schema'), { minLength: 1, maxLength: 3 }), fc.boolean()).map(([prefixItems, more]) => ({
      type: 'array',
      prefixItems,
      items: more ? { type: 'boolean' } : false,
    })),
    fc
      .tuple(
        fc.uniqueArray(fc.tuple(name, tie('schema'), fc.boolean()), { maxLength: 4, selector: ([n]) => n }),
        fc.constantFrom(false, undefined, true, { type: 'integer' }),
      )
      .map(([list, additionalProperties]) => ({
        type: 'object',
        properties: Object.fromEntries(list.map(([n, schema]) => [n, schema])),
        required: list.flatMap(([n, , required]) => (required ? [n] : [])),
        ...(additionalProperties === undefined ? {} : { additionalProperties }),
      })),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
  ),
})).schema;
const tree = {
  type: 'object',
  properties: { v: { type: 'integer' }, kids: { type: 'array', items: { $ref: '#/$defs/tree' } } },
  required: ['v', 'kids'],
  additionalProperties: false,
};

describe('random walks', () => {
  it('end in JSON that satisfies the schema', () => {
    const walk = fc.tuple(schemaOf, fc.integer(), fc.constantFrom(0, 10, 60));
    fc.assert(
      fc.property(walk, ([inner, seed, patience]) => {
        const schema = { ...inner, $defs: { tree } };
        const rng = createRng(seed);
        const valid = ajv.compile(schema);
        for (let i = 0; i < 3; i++) {
          const text = textOf(rich, randomWalk(jsonSchemaConstraint(rich, schema), rich, rng, patience));
          const value: unknown = JSON.parse(text);
          expect(valid(value), `${text} for ${JSON.stringify(schema)}: ${ajv.errorsText(valid.errors)}`).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
  });

  const tokenizers = {
    'byte level': fromTokenizerJson(tinyTokenizerJson(), tinyTokenizerConfig()),
    SentencePiece: fromTokenizerJson(sentencePieceJson('legacy')),
  };
  it.each(Object.entries(tokenizers))('with a tokenizer: %s', (_, tokenizer) => {
    const vocabulary = tokenVocabulary(tokenizer);
    const schema = { type: 'object', properties: { a: { type: 'string' }, b: tree }, $defs: { tree } };
    const valid = ajv.compile(schema);
    for (let seed = 0; seed < 10; seed++) {
      const ids = randomWalk(jsonSchemaConstraint(vocabulary, schema), vocabulary, createRng(seed));
      const text = tokenizer.decode(ids);
      expect(valid(JSON.parse(text)), text).toBe(true);
      expect(ids.every((id) => tokenizer.bytes(id) !== undefined)).toBe(true);
    }
  });

  it('of json_object give objects', () => {
    for (let seed = 0; seed < 20; seed++) {
      const value = JSON.parse(textOf(rich, randomWalk(jsonObjectConstraint(rich), rich, createRng(seed)))) as unknown;
      expect(Object.prototype.toString.call(value)).toBe('[object Object]');
    }
  });
});

describe('the language', () => {
  const texts = (schema: unknown, good: readonly string[], bad: readonly string[]) => {
    for (const text of good) expect(accepts(schema, text), `${text} is in`).toBe(true);
    for (const text of bad) expect(accepts(schema, text), `${text} is out`).toBe(false);
  };

  it('strings: escapes, surrogates, all of Unicode, no control characters', () => {
    texts(
      { type: 'string' },
      [
        '""',
        '"a"',
        '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
        '"\\u00e9"',
        '"\\ud83d\\ude42"',
        '"\\uD83D\\uDE42"',
        '"é中🙂"',
        '"\u007f"',
      ],
      [
        '"',
        '"\n"',
        '"\\x"',
        '"\\u12"',
        '"\\ud83d"',
        '"\\ud83dx"',
        '"\\ud83d\\n"',
        '"\\ude42"',
        '"a" ',
        '"\u0000"',
        "'a'",
      ],
    );
    const half = Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22);
    expect(spell(jsonSchemaConstraint(plainBytes, { type: 'string' }), half)).toBe(2);
    const overlong = Uint8Array.of(0x22, 0xc0, 0xaf, 0x22);
    expect(spell(jsonSchemaConstraint(plainBytes, { type: 'string' }), overlong)).toBe(1);
  });

  it('lengths count characters, not bytes, and a pair of escapes as one', () => {
    texts(
      { type: 'string', minLength: 2, maxLength: 3 },
      ['"ab"', '"中文字"', '"🙂🙂"', '"\\n\\n"', '"\\ud83d\\ude42x"'],
      ['"a"', '"abcd"', '"🙂"', '"\\ud83d\\ude42"'],
    );
  });

  it('numbers: what float64 keeps, and nothing that overflows', () => {
    texts(
      { type: 'number' },
      ['0', '-0', '-0.5', '1e99', '1E-9', '123456789012345', '0.000000000000001'],
      ['1e999', '01', '.5', '1.', '+1', 'NaN', '1e', '1234567890123456', '--1', '0x1'],
    );
    texts({ type: 'integer' }, ['0', '-1', '999999999999999'], ['-0', '1.0', '1e3', '00']);
  });

  it('bounded numbers: every text of up to five characters is judged as its value is', () => {
    const cases = [
      { minimum: -2.5, maximum: 17 },
      { minimum: 3, exclusiveMaximum: 12.05 },
      { exclusiveMinimum: 0, maximum: 0.1 },
      { exclusiveMinimum: -1, exclusiveMaximum: 1 },
      { maximum: -99 },
      { minimum: 0 },
      { minimum: 1e-7, maximum: 1e21 },
      { minimum: 5, maximum: 5 },
    ];
    const rng = createRng(3);
    const texts = new Set<string>();
    while (texts.size < 1500) {
      const length = 1 + Math.floor(rng.uniform() * 5);
      texts.add(Array.from({ length }, () => '-0012345.579'[Math.floor(rng.uniform() * 12)]).join(''));
    }
    for (const bounds of cases) {
      for (const type of ['number', 'integer']) {
        const valid = ajv.compile({ type, ...bounds });
        const ours = (text: string) =>
          !(type === 'integer' && bounds.maximum === 0.1) && accepts({ type, ...bounds }, text);
        for (const text of texts) {
          const form = type === 'integer' ? /^(0|-?[1-9]\d*)$/ : /^-?(0|[1-9]\d*)(\.\d+)?$/;
          const expected = form.test(text) && !/^-[0.]+$/.test(text) && valid(Number(text));
          expect(ours(text), `${text} ${type} ${JSON.stringify(bounds)}`).toBe(expected);
        }
      }
    }
  });

  it('exclusive bounds hold after rounding to float64', () => {
    texts({ type: 'number', exclusiveMaximum: 123456789 }, ['123456788.999999'], ['123456788.9999999', '123456789']);
  });

  it('objects: order, optional and additional properties, no name twice', () => {
    const schema = { type: 'object', properties: { a: { type: 'integer' }, b: {}, c: {} }, required: ['b'] };
    texts(
      schema,
      ['{"a":1,"b":2,"c":3}', '{"b":0}', '{"b":[],"c":{}}', ' {"a": 1,\n  "b": 2\n}'],
      ['{}', '{"a":1}', '{"b":1,"a":1}', '{"b":1,"d":1}', '{"b":1,}', '{"b":1,"b":1}', '{"a":"x","b":1}'],
    );
    texts(
      { ...schema, additionalProperties: { type: 'null' } },
      ['{"b":1,"d":null}', '{"b":1,"bb":null,"":null}'],
      ['{"b":1,"d":1}', '{"b":1,"a":null}', '{"d":null,"b":1}', '{"b":1,"\\u0061":null}'],
    );
    texts({ type: 'object', additionalProperties: false }, ['{}'], ['{"a":1}', '{ }']);
    texts({ type: 'object', propertyNames: { pattern: '^x' } }, ['{}', '{"x":1,"xy":[]}'], ['{"y":1}']);
    const days = { propertyNames: { enum: ['mo', 'tu'] }, additionalProperties: { type: 'integer' } };
    texts({ type: 'object', ...days }, ['{"tu":1}', '{"mo":1,"tu":2}'], ['{"we":1}']);
    texts({ type: 'object', ...days, required: ['mo'] }, ['{"mo":1}', '{"mo":1,"tu":2}'], ['{"tu":1}']);
  });

  it('arrays: counts and tuples', () => {
    texts(
      { type: 'array', items: { type: 'integer' }, minItems: 1, maxItems: 2 },
      ['[1]', '[1, 2]'],
      ['[]', '[1,2,3]', '[1,]'],
    );
    texts({ type: 'array', maxItems: 0 }, ['[]'], ['[1]']);
    const prefixItems = [{ type: 'string' }, { type: 'integer' }];
    texts({ prefixItems, minItems: 2 }, ['["a",1]'], ['["a"]', '["a",1,2]', '[1,"a"]']);
    texts({ prefixItems, items: { type: 'null' } }, ['[]', '["a"]', '["a",1,null,null]'], ['["a",1,1]', '[null]']);
    texts({ prefixItems, items: { type: 'null' }, maxItems: 1 }, ['["a"]'], ['["a",1]']);
  });

  it('alternatives, references, null', () => {
    texts({ type: 'integer', nullable: true }, ['null', '3'], ['"3"']);
    texts({ enum: [1, 'a', null, { b: [1] }], type: ['integer', 'object'] }, ['1', '{"b":[1]}'], ['"a"', 'null']);
    texts({ const: 'a"b' }, ['"a\\"b"'], ['"a"']);
    const oneOf = [
      { type: 'object', properties: { kind: { const: 'a' }, x: { type: 'integer' } }, required: ['kind', 'x'] },
      { type: 'object', properties: { kind: { const: 'b' }, y: { type: 'string' } }, required: ['kind', 'y'] },
      { $ref: '#/$defs/none' },
    ];
    texts(
      { oneOf, $defs: { none: { type: 'null' } } },
      ['{"kind":"a","x":1}', '{"kind":"b","y":""}', 'null'],
      ['{"kind":"a","y":""}'],
    );
    texts({ type: 'string', anyOf: [{ maxLength: 1 }, { pattern: '^xy$' }] }, ['"a"', '"xy"'], ['"yx"', '1']);
    texts({ allOf: [{ $ref: '#/$defs/a~1b' }], $defs: { 'a/b': { type: 'null' } } }, ['null'], ['1']);
  });

  it('a schema that contains itself by several ways', () => {
    const list = {
      anyOf: [{ type: 'array', items: { $ref: '#' } }, { $ref: '#/$defs/n' }],
      $defs: { n: { anyOf: [{ $ref: '#' }, { type: 'integer' }] } },
    };
    texts(list, ['[[1],[[2,3]]]', '7'], ['["a"]']);
  });

  it('white space never without end', () => {
    texts(
      { type: 'array', items: { type: 'integer' } },
      [`[\n${' '.repeat(32)}1]`, '[ 1 ]'],
      [`[\n${' '.repeat(33)}1]`, '[  1]', '  [1]', '[1] ', '[1\n\n]'],
    );
  });

  it('nesting up to 64 levels, and never into a dead end', () => {
    texts({}, ['['.repeat(64) + ']'.repeat(64)], ['['.repeat(65) + ']'.repeat(65)]);
    // Of the two ways on, only the flat one is left at the end.
    const schema = { anyOf: [{ type: 'array', prefixItems: [{ $ref: '#' }], minItems: 1 }, { type: 'null' }] };
    texts(schema, [`${'['.repeat(64)}null${']'.repeat(64)}`], [`${'['.repeat(65)}null${']'.repeat(65)}`]);
  });
});

describe('a mask', () => {
  /** Tries each token on a constraint of its own. */
  const bruteForce = (schema: unknown, history: readonly number[]) =>
    Array.from({ length: rich.eosId + 1 }, (_, id) => id).filter((id) => {
      const constraint = jsonSchemaConstraint(rich, schema);
      for (const before of history) constraint.accept(before);
      try {
        constraint.accept(id);
        return true;
      } catch {
        return false;
      }
    });
  const schemas: unknown[] = [
    { type: 'string' },
    { type: 'string', minLength: 40, maxLength: 90 },
    { type: 'string', maxLength: 5 },
    { type: 'array', items: { type: 'string', maxLength: 30 }, minItems: 33, maxItems: 64 },
    {
      type: 'object',
      properties: { name: { enum: ['the', 'abc'] }, k1: { type: 'number' } },
      additionalProperties: true,
    },
    { type: 'string', pattern: '^(abc|é|中+)*$' },
  ];
  it.each(schemas)('has exactly the tokens whose bytes can follow: %j', (schema) => {
    const rng = createRng(11);
    const constraint = jsonSchemaConstraint(rich, schema);
    const history: number[] = [];
    for (let i = 0; i < 60; i++) {
      const allowed = allowedIds(constraint.allowed());
      if (i % 6 === 0) expect(allowed).toEqual(bruteForce(schema, history));
      const going = allowed.filter((id) => id !== rich.eosId);
      if (going.length === 0) break;
      const id = going[Math.floor(rng.uniform() * going.length)]!;
      constraint.accept(id);
      history.push(id);
    }
  });

  it('has the end token only where the text is whole, and then for good', () => {
    const constraint = jsonSchemaConstraint(rich, { type: 'integer' });
    expect(isAllowed(constraint.allowed(), rich.eosId)).toBe(false);
    expect(() => constraint.accept(rich.eosId)).toThrow(/not allowed/);
    constraint.accept('7'.charCodeAt(0));
    expect(isAllowed(constraint.allowed(), rich.eosId)).toBe(true);
    constraint.accept(rich.eosId);
    expect(allowedIds(constraint.allowed())).toEqual([rich.eosId]);
    constraint.accept(rich.eosId);
    expect(() => constraint.accept('7'.charCodeAt(0))).toThrow(/not allowed/);
  });

  it('has rows for all of the model, and never a row without a token', () => {
    const mask = jsonSchemaConstraint(rich, {}).allowed();
    expect(mask).toHaveLength(Math.ceil((rich.eosId + 20) / 32));
    expect(Math.max(...allowedIds(mask))).toBeLessThanOrEqual(rich.eosId);
  });

  it('has both of two tokens with the same bytes', () => {
    const constraint = jsonSchemaConstraint(rich, { type: 'string' });
    constraint.accept(0x22);
    const twins = allowedIds(constraint.allowed()).filter(
      (id) => id >= 256 && String(Buffer.from(rich.bytes(id)!)) === 'name',
    );
    expect(twins).toHaveLength(2);
  });

  it('says so when the vocabulary cannot spell what is asked for', () => {
    const texts = { vocabSize: 2, eosIds: [1], bytes: () => Uint8Array.of(0x41) };
    expect(() => regexConstraint(tokenVocabulary(texts), 'b').allowed()).toThrow(
      expect.objectContaining({ code: 'CONSTRAINT' }),
    );
  });
});

it('stays bounded: states are forgotten and the texts stay right, also for others of the same schema', () => {
  // Which of the last letters were an a: nearly every text is a state of its own.
  const pattern = '[ab]*a[ab]{18}';
  const vocabulary = byteVocabulary(['abab', 'aabb', 'bbba']);
  const early = regexConstraint(vocabulary, pattern);
  const late = regexConstraint(vocabulary, pattern);
  const [shared] = [...vocabulary.recent.values()];
  const rng = createRng(2);
  const ids: number[] = [];
  while (shared!.automaton.generation < 1 && ids.length < 20_000) {
    const allowed = allowedIds(late.allowed());
    const whole = new RegExp(`^${pattern}$`).test(textOf(vocabulary, ids.slice(-30)));
    expect(allowed.length).toBe(whole ? 6 : 5);
    const id = allowed[Math.floor(rng.uniform() * 5)]!;
    late.accept(id);
    ids.push(id);
  }
  expect(shared!.automaton.generation).toBe(1);
  expect(allowedIds(early.allowed()).map((id) => textOf(vocabulary, [id]))).toEqual(['a', 'b', 'abab', 'aabb', 'bbba']);
});

describe('refuses', () => {
  const deep = (levels: number) => {
    let schema: unknown = { type: 'string' };
    for (let i = 0; i < levels; i++) schema = { type: 'array', items: schema };
    return schema;
  };
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, true]));
  it.each<[unknown, RegExp]>([
    [{ type: 'object', properties: { 'a/b': { multipleOf: 2 } } }, /^#\/properties\/a~1b\/multipleOf: .*"multipleOf"/],
    [{ items: { uniqueItems: true } }, /^#\/items\/uniqueItems/],
    [{ not: {} }, /^#\/not/],
    [{ if: {} }, /^#\/if/],
    [{ patternProperties: {} }, /^#\/patternProperties/],
    [{ type: 'strnig' }, /^#\/type: "strnig"/],
    [{ type: [] }, /^#\/type/],
    [7, /^#: a schema must be/],
    [{ properties: { a: null } }, /^#\/properties\/a: a schema/],
    [{ additionalProperties: null, properties: {} }, /^#\/additionalProperties: a schema/],
    [{ minLength: 3, maxLength: 2 }, /minLength is 3, maxLength is 2/],
    [{ minItems: -1 }, /^#\/minItems/],
    [{ minimum: '3' }, /^#\/minimum/],
    [{ type: 'integer', minimum: 3, maximum: 2 }, /no text that satisfies/],
    [{ type: 'integer', exclusiveMinimum: 3, exclusiveMaximum: 4 }, /no text that satisfies/],
    [false, /no text that satisfies/],
    [{ $ref: '#' }, /no text that satisfies/],
    [{ type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }, /no text that satisfies/],
    [deep(70), /nested deeper than 64/],
    [{ $ref: '#/$defs/a' }, /^#\/\$ref: "#\/\$defs\/a" leads nowhere/],
    [{ $ref: '#/__proto__' }, /leads nowhere/],
    [{ $ref: 'https://example.org/a' }, /only references within/],
    [{ $ref: '#/$defs/a', minLength: 2, $defs: { a: true } }, /"minLength": nothing may stand beside/],
    [{ pattern: 'a(?=b)' }, /^#\/pattern: .*"\(\?=" at character 4/],
    [{ pattern: '\\p{L}' }, /"\\p"/],
    [{ pattern: '(a' }, /not closed/],
    [{ pattern: 'a^' }, /no text that satisfies/],
    [{ pattern: '^a$', format: 'date' }, /no text that satisfies/],
    [{ pattern: '((a{100}){100}){100}' }, /more than 20000 nodes/],
    [{ pattern: '((){9999}){9999}' }, /too complicated/],
    [{ pattern: '(a?){5000}' }, /more than 40000 edges/],
    [{ pattern: 'a', minLength: 30000 }, /30000/],
    [{ format: 'phone' }, /^#\/format: "phone"/],
    [{ items: [{}] }, /^#\/items: must be one schema/],
    [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }, /^#\/oneOf: 0 and 1 of oneOf may both match/],
    [{ oneOf: [{ type: 'object' }, { type: 'object', properties: {} }] }, /may both match/],
    [{ allOf: [{}, {}] }, /^#\/allOf/],
    [{ anyOf: [] }, /^#\/anyOf/],
    [{ anyOf: [{ properties: {} }], additionalProperties: false }, /^#\/anyOf\/0: it cannot be joined/],
    [{ anyOf: [{ maxLength: 3 }], maxLength: 4 }, /cannot be joined/],
    [{ anyOf: [{}], oneOf: [{}] }, /do not go together/],
    [{ enum: [], type: 'string' }, /^#\/enum/],
    [{ enum: ['a'], minLength: 3 }, /"minLength" beside const or enum/],
    [{ required: ['a', 3] }, /^#\/required/],
    [{ propertyNames: { type: 'integer' } }, /^#\/propertyNames\/type/],
    [{ properties: { a: {} }, propertyNames: { enum: ['b'] } }, /forbids the listed property "a"/],
    [{ properties: many(101) }, /101 optional properties; the limit is 100/],
    [{ properties: many(300), required: Object.keys(many(300)) }, /300 properties; the limit is 256/],
    [{ anyOf: Array.from({ length: 101 }, () => ({})) }, /101 schemas; the limit is 100/],
    [{ description: 'x'.repeat(300_000) }, /the limit is 262144/],
    [undefined, /not JSON/],
  ])('%j', (schema, message) => {
    expect(() => jsonSchemaConstraint(plainBytes, schema)).toThrow(
      expect.objectContaining({ code: 'BAD_SCHEMA', exitCode: 2, message: expect.stringMatching(message) }),
    );
  });

  it('a schema that is no tree', () => {
    const loop: Record<string, unknown> = {};
    loop.items = loop;
    expect(() => jsonSchemaConstraint(plainBytes, loop)).toThrow(expect.objectContaining({ code: 'BAD_SCHEMA' }));
  });
});

describe('response_format', () => {
  it('takes what OpenAI takes', () => {
    const named = { name: 'n', strict: true, schema: { type: 'integer' } };
    expect(responseFormatConstraint(plainBytes, undefined)).toBeUndefined();
    expect(responseFormatConstraint(plainBytes, { type: 'text' })).toBeUndefined();
    expect(spell(responseFormatConstraint(plainBytes, { type: 'json_object' })!, '{"a":[1]}')).toBe('whole');
    expect(spell(responseFormatConstraint(plainBytes, { type: 'json_schema', json_schema: named })!, '12')).toBe(
      'whole',
    );
  });
  it.each([[{}], [{ type: 'xml' }], [{ type: 'json_schema' }], ['json'], [{ type: 'json_schema', json_schema: {} }]])(
    'refuses %j',
    (format) => {
      expect(() => responseFormatConstraint(plainBytes, format)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    },
  );
});

describe('choices', () => {
  it('are taken as they are', () => {
    const texts = ['yes', 'no', 'not "sure"', 'ja é'];
    for (const text of texts) expect(spell(choiceConstraint(plainBytes, texts), text)).toBe('whole');
    expect(spell(choiceConstraint(plainBytes, texts), 'not')).toBe('open');
    expect(spell(choiceConstraint(plainBytes, texts), 'nobody')).toBe(2);
    expect(() => choiceConstraint(plainBytes, [])).toThrow(/0 choices/);
  });
});
