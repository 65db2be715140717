import { describe, expect, it } from 'vitest';
import { buildExample, buildExamples, countTargets, type PromptTemplate } from '../../../src/data/index.ts';
import { BOS, EOS, toyEncoder } from './toyEncoder.ts';

// 'P:' + instruction + '>' so that the prompt of { instruction: 'q' } is 'P:q>', four tokens.
const template: PromptTemplate = {
  name: 'toy',
  description: '',
  promptInput: 'P:{instruction},{input}>',
  promptNoInput: 'P:{instruction}>',
  responseSplit: '>',
};
const row = { instruction: 'q', input: '', output: 'yes', line: 9 };
const options = { cutoffLen: 100, trainOnInputs: false, addEos: true };
const codes = (text: string) => Array.from(text, (c) => c.charCodeAt(0));

describe('buildExample', () => {
  it('predicts the response and EOS, each from the token before it', () => {
    const example = buildExample(row, template, toyEncoder(), options);
    expect([...example.ids]).toEqual([...codes('P:q>yes'), EOS]);
    expect([...example.targets]).toEqual([-1, -1, -1, ...codes('yes'), EOS, -1]);
    expect(example).toMatchObject({ promptLength: 4, truncated: false, line: 9 });
    expect(countTargets(example)).toBe(4);
  });

  it('puts BOS in front when the encoder asks for it, and never in the middle', () => {
    const example = buildExample(row, template, toyEncoder({ addBos: true }), options);
    expect([...example.ids]).toEqual([BOS, ...codes('P:q>yes'), EOS]);
    expect([...example.targets]).toEqual([-1, -1, -1, -1, ...codes('yes'), EOS, -1]);
    expect(example.promptLength).toBe(5);
  });

  it('uses the input', () => {
    const { ids, promptLength } = buildExample({ ...row, input: 'in' }, template, toyEncoder(), options);
    expect([...ids]).toEqual([...codes('P:q,in>yes'), EOS]);
    expect(promptLength).toBe(7);
  });

  it('predicts everything but the first token with trainOnInputs', () => {
    const example = buildExample(row, template, toyEncoder({ addBos: true }), { ...options, trainOnInputs: true });
    expect([...example.targets]).toEqual([...codes('P:q>yes'), EOS, -1]);
  });

  it('adds no EOS unless asked', () => {
    const example = buildExample(row, template, toyEncoder({ eosId: undefined }), { ...options, addEos: false });
    expect([...example.ids]).toEqual(codes('P:q>yes'));
    expect([...example.targets]).toEqual([-1, -1, -1, ...codes('yes'), -1]);
  });

  it('cuts on the right: at the exact length nothing, one less the EOS, then the response, then the prompt', () => {
    const cut = (cutoffLen: number) => buildExample(row, template, toyEncoder(), { ...options, cutoffLen });
    expect(cut(8)).toMatchObject({ truncated: false, promptLength: 4 });
    expect([...cut(7).ids]).toEqual(codes('P:q>yes'));
    expect([...cut(7).targets]).toEqual([-1, -1, -1, ...codes('yes'), -1]);
    expect(cut(7).truncated).toBe(true);
    expect([...cut(5).targets]).toEqual([-1, -1, -1, ...codes('y'), -1]);
    expect(countTargets(cut(4))).toBe(0);
    expect(cut(2)).toMatchObject({ promptLength: 2, truncated: true });
  });

  it('never lets the data inject control tokens', () => {
    const encoder = toyEncoder({ addBos: true });
    buildExample(row, template, encoder, options);
    expect(encoder.calls).toEqual([
      { addBos: true, special: false },
      { addBos: false, special: false },
    ]);
  });

  it('refuses a missing EOS and a senseless cutoff', () => {
    expect(() => buildExample(row, template, toyEncoder({ eosId: undefined }), options)).toThrowError(
      expect.objectContaining({ code: 'TOKENIZER_NO_EOS' }),
    );
    for (const cutoffLen of [1, 0, -5, 2.5, Number.NaN]) {
      expect(() => buildExample(row, template, toyEncoder(), { ...options, cutoffLen })).toThrowError(
        expect.objectContaining({ code: 'USAGE', exitCode: 2 }),
      );
    }
  });
});

describe('buildExamples', () => {
  const rows = [
    { ...row, line: 1 },
    { ...row, output: ' \n', line: 2 },
    { ...row, instruction: 'a long question', line: 3 },
    { ...row, output: 'a long answer', line: 5 },
  ];

  it('skips what has no target, with line and reason, and counts what was cut', () => {
    const built = buildExamples(rows, template, toyEncoder(), { ...options, cutoffLen: 10 });
    expect(built.examples.map((e) => [e.line, e.ids.length, e.truncated])).toEqual([
      [1, 8, false],
      [5, 10, true],
    ]);
    expect(built.skipped).toEqual([
      { line: 2, reason: 'the output is empty' },
      { line: 3, reason: 'the prompt alone fills the cutoff of 10 tokens' },
    ]);
    expect(built.truncated).toBe(1);
  });

  it('keeps a long prompt that is itself trained on', () => {
    const built = buildExamples(rows, template, toyEncoder(), { ...options, cutoffLen: 10, trainOnInputs: true });
    expect(built.examples.map((e) => e.line)).toEqual([1, 3, 5]);
    expect(built.truncated).toBe(2);
  });
});
