// Tool calls found in answers, however they are cut into pieces.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createToolReader, type ToolFormat, toolFormatOf } from '../../../src/serve/toolCalls.ts';

const names = ['weather', 'time'];

function read(format: ToolFormat, pieces: readonly string[], most?: number) {
  const reader = createToolReader({ format, names, ...(most === undefined ? {} : { most }) });
  const parts = [...pieces.map((piece) => reader.push(piece)), reader.finish()];
  return {
    content: parts.map((part) => part.content).join(''),
    calls: parts.flatMap((part) => part.calls).map(({ function: f }) => [f.name, JSON.parse(f.arguments)]),
  };
}

const weather = '{"name": "weather", "arguments": {"city": "La Paz"}}';
const lapaz = ['weather', { city: 'La Paz' }];

describe('Hermes and Qwen', () => {
  it.each([
    [`<tool_call>\n${weather}\n</tool_call>`, '', [lapaz]],
    [`I look.\n\n<tool_call>${weather}</tool_call>\n<tool_call>${weather}</tool_call>\n`, 'I look.', [lapaz, lapaz]],
    [`<tool_call>${weather}</tool_call> Then I say more.`, 'Then I say more.', [lapaz]],
    // The end token in place of the closing tag.
    [`<tool_call>\n${weather}`, '', [lapaz]],
    ['<tool_call>{"name": "weather", "arg', '<tool_call>{"name": "weather", "arg', []],
    ['<tool_call>nonsense</tool_call>', '<tool_call>nonsense</tool_call>', []],
    ['<tool_call>{"name": "time"}</tool_call>', '', [['time', {}]]],
    ['<tool_call>{"name": "time", "arguments": "{\\"zone\\": 1}"}</tool_call>', '', [['time', { zone: 1 }]]],
    ['a < b and <tool, no call  ', 'a < b and <tool, no call  ', []],
    [weather, weather, []],
    ['', '', []],
  ])('%j', (text, content, calls) => {
    expect(read('tags', [text])).toEqual({ content, calls });
    expect(read('tags', [...text])).toEqual({ content, calls });
  });
});

describe('Llama 3', () => {
  const llama = '{"name": "weather", "parameters": {"city": "La Paz"}}';
  it.each([
    [llama, '', [lapaz]],
    [`\n ${weather} `, '', [lapaz]],
    [`<|python_tag|>${llama}; ${llama}`, '', [lapaz, lapaz]],
    [`[${llama}, ${llama}]`, '', [lapaz, lapaz]],
    // Not one of the tools, or not only calls: it is text.
    ['{"name": "robot", "parameters": {}}', '{"name": "robot", "parameters": {}}', []],
    [`${llama} and more`, `${llama} and more`, []],
    ['{"answer": 42}', '{"answer": 42}', []],
    ['{"name": "wea', '{"name": "wea', []],
    ['It is warm. {"name"', 'It is warm. {"name"', []],
    ['[]', '[]', []],
    ['  ', '  ', []],
  ])('%j', (text, content, calls) => {
    expect(read('json', [text])).toEqual({ content, calls });
    expect(read('json', [...text])).toEqual({ content, calls });
  });

  it('lets text through at once', () => {
    const reader = createToolReader({ format: 'json', names });
    expect(reader.push('It is').content).toBe('It is');
  });
});

it('how text is cut never matters, and text without a call is never changed', () => {
  const word = fc.constantFrom(
    '<tool_call>',
    '</tool_call>',
    weather,
    '{',
    '}',
    '"',
    ' ',
    '\n',
    'a',
    '<|python_tag|>',
    ';',
  );
  const piece = fc.array(word, { maxLength: 12 }).map((list) => list.join(''));
  fc.assert(
    fc.property(fc.constantFrom<ToolFormat>('tags', 'json'), piece, fc.array(fc.nat(100)), (format, text, cuts) => {
      const at = [0, ...cuts.map((c) => c % (text.length + 1)).sort((a, b) => a - b), text.length];
      const pieces = at.slice(1).map((end, i) => text.slice(at[i], end));
      const whole = read(format, [text]);
      expect(read(format, pieces)).toEqual(whole);
      if (whole.calls.length === 0 && !text.includes('<tool_call>')) expect(whole.content).toBe(text);
    }),
    { numRuns: 2000 },
  );
});

it('keeps to the most calls', () => {
  const twice = `<tool_call>${weather}</tool_call>`.repeat(2);
  expect(read('tags', [twice], 1).calls).toEqual([lapaz]);
});

it('knows the format by the template', () => {
  expect(toolFormatOf("{{ '<tool_call>' }}")).toBe('tags');
  expect(toolFormatOf('{{ tools }}')).toBe('json');
  expect(toolFormatOf(undefined)).toBe('json');
});
