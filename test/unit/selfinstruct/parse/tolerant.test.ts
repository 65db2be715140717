// What can be saved from answers that do not keep to the form.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseInstructions } from '../../../../src/selfinstruct/parse/instructionList.ts';
import { looksStructured, parseJsonItems } from '../../../../src/selfinstruct/parse/jsonItems.ts';
import { englishLabels, type Labels } from '../../../../src/selfinstruct/parse/labels.ts';
import { parseTaskText } from '../../../../src/selfinstruct/parse/taskText.ts';

const read = (text: string, { labels = englishLabels, continues = true, stoppedForLength = false } = {}) =>
  parseTaskText(text, labels, { continues, stoppedForLength });

describe('tasks of free text', () => {
  it('reads wrong numbers, other brackets, bold labels and blank lines', () => {
    const text = [
      ' Name a blue flower.\n\n4. Input: None\n4. Output: Cornflower.',
      '###\n7) Instruction: Sort\nthe words.\n5. Input:\nb, a\n\n5. Output:\na, b',
      '**6. Instruction:** Say hello in French.\n**6. Output:** Bonjour.',
    ].join('\n');
    expect(read(text)).toEqual({
      items: [
        { instruction: 'Name a blue flower.', input: '', output: 'Cornflower.' },
        { instruction: 'Sort the words.', input: 'b, a', output: 'a, b' },
        { instruction: 'Say hello in French.', input: '', output: 'Bonjour.' },
      ],
      rejected: [],
    });
  });

  it('keeps "###" inside an output, and drops it behind one', () => {
    const output = '### Title\ntext\n### Second\nmore';
    const text = ` Write a page.\n4. Input:\n<noinput>\n4. Output:\n${output}\n###\n5. Instruction: Go on.\n5. Output: Yes.`;
    expect(read(text).items.map((t) => t.output)).toEqual([output, 'Yes.']);
  });

  it('starts anew where the teacher repeats the open head', () => {
    const text = '\n###\n4. Instruction: Name a flower.\n4. Input: <noinput>\n4. Output: Rose.';
    expect(read(text).items.map((t) => t.instruction)).toEqual(['Name a flower.']);
  });

  it('says what is unreadable or cut off', () => {
    const text =
      ' Without an answer.\n5. Instruction: Good one.\n5. Output: Yes.\n6. Instruction: Cut.\n6. Output: half';
    const { items, rejected } = read(text, { stoppedForLength: true });
    expect(items.map((t) => t.instruction)).toEqual(['Good one.']);
    expect(rejected.map((r) => r.reason)).toEqual(['unreadable', 'truncated']);
    expect(read('', { continues: false })).toEqual({ items: [], rejected: [] });
    expect(read('Sorry, no.', { continues: false }).rejected).toMatchObject([{ reason: 'unreadable' }]);
  });

  it('reads labels of another language, and colons of either width', () => {
    const labels: Labels = {
      ...englishLabels,
      instruction: '指令',
      input: '输入',
      output: '输出',
      noInput: '<无输入>',
    };
    const text =
      '写一首诗。\n4. 输入：\n<无输入>\n4. 输出：\n春眠不觉晓\n###\n5. 指令:排序\n5. 输入: 乙、甲\n5. 输出: 甲、乙';
    expect(read(text, { labels }).items).toEqual([
      { instruction: '写一首诗。', input: '', output: '春眠不觉晓' },
      { instruction: '排序', input: '乙、甲', output: '甲、乙' },
    ]);
  });

  it('never throws and never makes up text', () => {
    const piece = fc.oneof(
      fc.constantFrom('###', '\n', '4. Instruction:', '4. Input:', 'Output:', '{"tasks": [', '"', '<noinput>', '\\'),
      fc.string({ maxLength: 12 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.boolean(), (pieces, stoppedForLength) => {
        const text = pieces.join('');
        const flat = text.replace(/\s+/g, ' ');
        for (const { instruction, input, output } of read(text, { stoppedForLength }).items) {
          for (const part of [instruction, input, output]) expect(flat).toContain(part.replace(/\s+/g, ' '));
        }
        parseJsonItems(text, (v) => v);
        parseInstructions(text, stoppedForLength);
      }),
    );
  });
});

describe('instructions of a list', () => {
  it('keeps proper nouns, takes any numbering, and loses only the last of a cut answer', () => {
    const text = ' write to NASA about Mars.\n10) Tell me a joke.\n- **Sing of Rome.**\n12. Explain why 2.5 is';
    expect(parseInstructions(text, true)).toMatchObject({
      items: ['Write to NASA about Mars.', 'Tell me a joke.', 'Sing of Rome.'],
      rejected: [{ reason: 'truncated' }],
    });
  });
});

describe('structured answers', () => {
  const whole = JSON.stringify({ tasks: [{ a: 'x ] } " \\' }, { a: 'y' }, { a: 'z' }] });
  const items = (text: string) => parseJsonItems(text, (v) => (v as { a?: string } | null)?.a);

  it('reads a list, fenced or not, and knows one from text', () => {
    expect(items(whole).items).toEqual(['x ] } " \\', 'y', 'z']);
    expect(items(`\`\`\`json\n${whole}\n\`\`\``).items).toHaveLength(3);
    expect([whole, `\`\`\`json\n${whole}`, ' Name a {thing}'].map(looksStructured)).toEqual([true, true, false]);
  });

  it('keeps the complete items of a cut answer, wherever the cut is', () => {
    for (let n = 0; n < whole.length; n++) {
      const found = items(whole.slice(0, n)).items;
      expect(['x ] } " \\', 'y', 'z'].slice(0, found.length)).toEqual(found);
    }
    expect(items(whole.slice(0, -8))).toMatchObject({
      items: ['x ] } " \\', 'y'],
      rejected: [{ reason: 'truncated' }],
    });
  });

  it('says which items have another shape', () => {
    expect(items('[{"a":"x"}, {"b":1}, 5]').rejected.map((r) => r.reason)).toEqual(['unreadable', 'unreadable']);
  });
});
