// The real SmolLM2 vocabulary against the ids of Python's `transformers`.
// HUACAYA_TEST_MODEL names a GGUF file of SmolLM2 (Instruct); without it these tests are skipped.
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { openFile } from '../../src/base/node.ts';
import { openGguf } from '../../src/formats/index.ts';
import { fromGguf, renderChat, type Tokenizer } from '../../src/tokenizer/index.ts';

const path = process.env.HUACAYA_TEST_MODEL ?? '';

const { cases } = JSON.parse(
  readFileSync(new URL('../fixtures/golden/smollm2-tokenize.json', import.meta.url), 'utf8'),
) as { cases: { text: string; ids: number[] }[] };

describe.skipIf(!path.endsWith('.gguf'))('SmolLM2', () => {
  let tokenizer: Tokenizer;

  beforeAll(async () => {
    const source = await openFile(path);
    try {
      tokenizer = fromGguf((await openGguf(source)).metadata);
    } finally {
      await source.close();
    }
  });

  test.each(cases)('$text', ({ text, ids }) => {
    expect(tokenizer.encode(text)).toEqual(ids);
    expect(tokenizer.decode(ids)).toBe(text);
  });

  test('special tokens and chat', () => {
    expect(tokenizer).toMatchObject({ bosId: 1, eosId: 2, eosIds: [2, 0], padId: 2, addBos: false, vocabSize: 49152 });
    const text = renderChat(tokenizer, [{ role: 'user', content: 'hi' }], { addGenerationPrompt: true });
    expect(text).toMatch(/<\|im_start\|>user\nhi<\|im_end\|>\n<\|im_start\|>assistant\n$/);
    expect(tokenizer.encode(text).slice(-4)).toEqual(tokenizer.encode('<|im_start|>assistant\n'));
  });

  test('at least 0.3 million characters a second', () => {
    const text = cases
      .map((c) => c.text)
      .join('\n')
      .repeat(500);
    const started = performance.now();
    tokenizer.encode(text);
    expect(text.length / (performance.now() - started)).toBeGreaterThan(300);
  });
});
