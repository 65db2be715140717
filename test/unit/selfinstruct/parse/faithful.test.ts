// Parsing as published: small answers with the faults that the original scripts drop or let through.
import { describe, expect, it } from 'vitest';
import { createFilter, faithfulFilters } from '../../../../src/selfinstruct/filters/filters.ts';
import { parseFaithfulTasks } from '../../../../src/selfinstruct/parse/faithfulTasks.ts';
import { parseInstances } from '../../../../src/selfinstruct/parse/instances.ts';
import { parseFaithfulInstructions } from '../../../../src/selfinstruct/parse/instructionList.ts';
import { englishLabels } from '../../../../src/selfinstruct/parse/labels.ts';

describe('tasks as stanford_alpaca reads them', () => {
  const block = (n: number, instruction: string, input = '<noinput>', output = 'Fine.') =>
    `${n}. Instruction: ${instruction}\n${n}. Input:\n${input}\n${n}. Output:\n${output}\n`;
  const answer = (...blocks: string[]) => blocks.join('###\n').replace(/^4\. Instruction:/, '');

  it('goes on from the open head and takes blocks whose numbers are in step', () => {
    const text = answer(block(4, 'Name a blue flower', '<NoInput>'), block(5, 'Sort these', 'b, a', 'a, b'));
    expect(parseFaithfulTasks(text, 4, false)).toEqual({
      items: [
        { instruction: 'Name a blue flower', input: '', output: 'Fine.' },
        { instruction: 'Sort these', input: 'b, a', output: 'a, b' },
      ],
      rejected: [],
    });
  });

  it('drops the last block of a cut answer, blocks out of step, and blocks with parts too many', () => {
    const text = answer(block(4, 'One'), block(6, 'Two'), `${block(6, 'Three')}6. Output:\nagain`, block(7, 'Four'));
    const { items, rejected } = parseFaithfulTasks(text, 4, true);
    expect(items.map((t) => t.instruction)).toEqual(['One']);
    expect(rejected.map((r) => r.reason)).toEqual(['unreadable', 'unreadable', 'truncated']);
  });
});

describe('instructions as self-instruct reads them', () => {
  it('lower-cases all but the first letter, and gives up an answer that was cut', () => {
    const text = ' Write to NASA\nabout  Mars.\n10. tell me a joke\n11 . sing';
    expect(parseFaithfulInstructions(text, false).items).toEqual([
      'Write to nasa about mars.',
      'Tell me a joke',
      'Sing',
    ]);
    expect(parseFaithfulInstructions(text, true)).toMatchObject({ items: [], rejected: [{ reason: 'truncated' }] });
  });
});

describe('instances as prepare_for_finetuning reads them', () => {
  const read = (text: string, options: { classification?: boolean; stoppedForLength?: boolean } = {}) => {
    const { items, rejected } = parseInstances(text, 'Do it', {
      classification: false,
      stoppedForLength: false,
      labels: englishLabels,
      ...options,
    });
    return { pairs: items.map(({ input, output }) => [input, output]), reasons: rejected.map((r) => r.reason) };
  };

  it('reads examples, one pair alone, and nothing without an output', () => {
    expect(read('Example 1\nInput: a\nOutput: b\nExample 2\nOutput: c')).toEqual({
      pairs: [
        ['a', 'b'],
        ['', 'c'],
      ],
      reasons: [],
    });
    expect(read('Input 1: a\nOutput 1: b\nInput 2: c\nOutput 2: d').pairs).toEqual([['a', 'b']]);
    expect(read('just talk').reasons).toEqual(['unreadable']);
  });

  it('drops what is equal, empty, cut off or open, and the instruction where outputs contradict each other', () => {
    const text =
      'Example 1\nInput: a\nOutput: a\nExample 2\nInput: b\nOutput:\nExample 3\nInput: c\nOutput: see:\nExample 4\nInput: d\nOutput: e';
    expect(read(text)).toEqual({
      pairs: [['d', 'e']],
      reasons: ['output_is_input', 'empty_output', 'ends_with_colon'],
    });
    expect(read(text, { stoppedForLength: true }).pairs).toEqual([]);
    expect(read('Example 1\nInput: a\nOutput: b\nExample 2\nInput: a\nOutput: c')).toEqual({
      pairs: [],
      reasons: ['conflict'],
    });
  });

  it('reads labels before inputs of classification tasks, each pair once', () => {
    const text = 'Class label: yes\nInput: x\nClass label: no\ny\nClass label: yes\nInput: x';
    expect(read(text, { classification: true }).pairs).toEqual([
      ['Input: x', 'yes'],
      ['y', 'no'],
    ]);
  });
});

describe('filters as published', () => {
  const why = (instruction: string, pipeline: 'alpaca' | 'self-instruct' = 'alpaca') =>
    createFilter(faithfulFilters(pipeline))({ instruction, input: '', output: '' });

  it.each([
    ['Tell me a joke', undefined],
    ['Tell a joke', 'too_short'],
    [`Say ${'very '.repeat(150)}`, 'too_long'],
    ['Describe the Image in one sentence', 'keyword'],
    ['Describe how one goes  to school', undefined],
    ['Where should I go to tonight', 'keyword'],
    ['Explain photography and imagery to me', undefined],
    ['Write a program that sorts names', 'program'],
    ['write a program that sorts names', undefined],
    ['"Tell me a joke" is what I said', 'punctuation'],
    ['Éric asks you for a joke', 'not_ascii'],
  ])('%s: %s', (instruction, reason) => {
    expect(why(instruction)).toBe(reason);
  });

  it('knows the longer keyword list of alpaca', () => {
    expect(why('Recommend some music for a party')).toBe('keyword');
    expect(why('Recommend some music for a party', 'self-instruct')).toBeUndefined();
  });
});
