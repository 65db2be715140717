// Texts are those of Python's jinja2 with the settings of Hugging Face.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  type ChatMessage,
  type ChatOptions,
  fromGguf,
  renderChat,
  type Tokenizer,
} from '../../../src/tokenizer/index.ts';
import { sentencePieceGguf } from './smallTokenizers.ts';

interface ChatCase {
  template: string;
  messages: string;
  addGenerationPrompt: boolean;
  text?: string;
  refused?: string;
}

const reference = JSON.parse(readFileSync(new URL('../../fixtures/tokenizer/chat.json', import.meta.url), 'utf8')) as {
  templates: Record<string, string>;
  chats: Record<string, ChatMessage[]>;
  cases: ChatCase[];
};

const base = fromGguf(sentencePieceGguf());
const withTemplate = (chatTemplate: string): Tokenizer => ({ ...base, chatTemplate });
const user: ChatMessage[] = [{ role: 'user', content: 'Hello' }];
const render = (template: string, messages = user, options: ChatOptions = {}) =>
  renderChat(withTemplate(template), messages, options);

describe('the reference', () => {
  const rendered = reference.cases.filter((c) => c.text !== undefined);
  test.each(rendered)('$template, $messages, $addGenerationPrompt', (c) => {
    const { addGenerationPrompt } = c;
    const text = render(reference.templates[c.template]!, reference.chats[c.messages]!, { addGenerationPrompt });
    expect(text).toBe(c.text);
  });

  test('refuses what the template refuses, in its words', () => {
    const refused = reference.cases.filter((c) => c.refused !== undefined);
    expect(refused).toHaveLength(2);
    for (const c of refused) {
      const attempt = () => render(reference.templates[c.template]!, reference.chats[c.messages]!);
      expect(attempt).toThrow(expect.objectContaining({ code: 'CHAT_REFUSED' }));
      expect(attempt).toThrow(c.refused!);
    }
  });
});

test('what a template says when it refuses is made fit to print', () => {
  const attempt = () =>
    render("{{ raise_exception('no\u001b[2J' ~ ('x' | replace('x', messages[0].content))) }}", [
      { role: 'user', content: 'y'.repeat(9000) },
    ]);
  expect(attempt).toThrow(/refuses these messages: no \[2Jy{400,500}$/);
});

test('a base model has none, and the error says what to do', () => {
  const attempt = () => renderChat(base, user);
  expect(attempt).toThrow(
    expect.objectContaining({ code: 'NO_CHAT_TEMPLATE', hint: expect.stringContaining('alpaca') }),
  );
});

test('the same tokenizer can render again', () => {
  const tokenizer = withTemplate('{{ messages | length }}{{ messages[0].content }}');
  expect(renderChat(tokenizer, user)).toBe('1Hello');
  expect(renderChat(tokenizer, [...user, ...user])).toBe('2Hello');
});

test('strftime_now writes the date of the call', () => {
  const now = new Date(2024, 2, 5, 15, 7, 9);
  expect(render("{{ strftime_now('%d %b %Y|%A %B %y %H:%M:%S %I%p %%%q') }}", user, { now })).toBe(
    '05 Mar 2024|Tuesday March 24 15:07:09 03PM %%q',
  );
});

describe('templates that are wrong', () => {
  const bad = expect.objectContaining({ code: 'BAD_CHAT_TEMPLATE' });
  const cases: [string, string, string | RegExp][] = [
    ['do not parse', '{% for %}', 'cannot be read'],
    ['never close', '{{ messages', 'cannot be read'],
    ['are too long', 'x'.repeat(100_001), '100001 characters; 100000 is the most'],
    ['have endless blanks', `a${' '.repeat(50_000)}b`, 'a thousand blanks'],
    ['call what is not there', '{{ launch() }}', 'failed'],
    ['use an unknown filter', '{{ 1 | launch }}', 'failed'],
    ['nest without end', `{{ ${'('.repeat(40_000)}1${')'.repeat(40_000)} }}`, /failed|cannot be read/],
    ['recurse without end', '{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}', 'failed'],
    ['ask for a huge range', '{% for i in range(1000000000) %}{% endfor %}', 'range of 1000000000'],
    ['ask for an endless range', '{{ range(0, 1, 0) }}', 'range of'],
    ['ask for a range of texts', "{{ range('a') }}", 'range() wrongly'],
    [
      'loop for too long',
      '{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}',
      'does not come to an end',
    ],
    [
      'double a text',
      `{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}`,
      'makes a value of',
    ],
    [
      'nest a list in itself',
      `{% set ns = namespace(s=[1]) %}{% for i in range(30) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s | tojson }}`,
      'makes a value of',
    ],
    [
      'nest namespaces',
      '{% set a = namespace(s=1) %}{% set b = namespace(s=[a, a]) %}{% set a.s = [b, b] %}{{ a | tojson }}',
      'puts a namespace into a list',
    ],
    [
      'cut a text again and again',
      `{% set x = '${'a'.repeat(90_000)}' %}{% for i in range(9999) %}{{ x.split('a') | length }}{% endfor %}`,
      'does not come to an end',
    ],
    [
      'double a list',
      `{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}`,
      /makes a value of|does not come to an end/,
    ],
  ];
  test.each(cases)('%s', (_, template, message) => {
    expect(() => render(template)).toThrow(bad);
    expect(() => render(template)).toThrow(message);
  });
});

describe('nothing of JavaScript is within reach', () => {
  const probes = [
    "{{ messages.constructor }}{{ messages['constructor'] }}{{ messages.__proto__ }}",
    "{{ messages[0].constructor }}{{ messages[0]['__proto__'] }}{{ messages[0].toString }}",
    "{{ ''.constructor }}{{ ''['__proto__'] }}{{ (1).constructor }}{{ true.constructor }}{{ none.constructor }}",
    '{{ range.constructor }}{{ raise_exception.prototype }}{{ namespace.call }}{{ strftime_now.apply }}',
    '{{ globalThis }}{{ process }}{{ require }}{{ this }}{{ self }}{{ constructor }}{{ __proto__ }}{{ toString }}',
    '{{ namespace(a=1).constructor }}{{ namespace(a=1).__proto__ }}',
  ];
  test.each(probes)('%s', (template) => {
    expect(render(template)).toBe('');
  });

  test('calls of such names fail', () => {
    const bad = expect.objectContaining({ code: 'BAD_CHAT_TEMPLATE' });
    expect(() => render("{{ range.constructor('return 1')() }}")).toThrow(bad);
    expect(() => render("{{ ''.constructor.constructor('return process')() }}")).toThrow(bad);
    expect(() => render("{{ ''.at(0) }}")).toThrow(bad);
  });

  test('messages may be named like anything', () => {
    const odd = [{ role: '__proto__', content: 'constructor' }];
    expect(render('{{ messages[0].role }}/{{ messages[0].content }}', odd)).toBe('__proto__/constructor');
    const extra = [Object.assign({ role: 'user', content: 'x' }, { secret: 'y' })];
    expect(render('{{ messages[0].secret }}', extra)).toBe('');
  });
});

test('long chats stay within the bounds', () => {
  const long = Array.from({ length: 400 }, () => ({ role: 'user', content: 'x'.repeat(10_000) }));
  const text = render(reference.templates.turns!, long);
  expect(text.length).toBeGreaterThan(4_000_000);
});
