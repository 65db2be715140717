// The test teacher itself: what it writes fits the prompt, varies enough, and is the same for the same seed.
import { describe, expect, it } from 'vitest';
import { createRng } from '../../../../src/base/index.ts';
import { makeTask, startTeacherServer } from '../../../helpers/teacherServer/index.ts';

const ALPACA = `You are asked to come up with a set of 20 diverse task instructions.

###
1. Instruction: Name three rivers in Asia.
1. Input:
<noinput>
1. Output:
Yangtze, Mekong and Ganges.
###
2. Instruction:`;

async function ask(prompt: string, more: Record<string, unknown> = {}, options = {}) {
  const server = await startTeacherServer({ noise: 0, ...options });
  try {
    const response = await fetch(`${server.url}/completions`, {
      method: 'POST',
      headers: { 'x-client-request-id': 'a/1' },
      body: JSON.stringify({ model: 'teacher', prompt, max_tokens: 3000, ...more }),
    });
    const body = (await response.json()) as { choices: { text: string; finish_reason: string }[] };
    return body.choices[0]!;
  } finally {
    await server.close();
  }
}

describe('the test teacher', () => {
  it('writes blocks for Alpaca prompts, from the number where the prompt ends', async () => {
    const { text, finish_reason } = await ask(ALPACA);
    const blocks = `2. Instruction:${text}`.split('###').map((block) => block.trim());
    expect(finish_reason).toBe('stop');
    expect(blocks).toHaveLength(19);
    blocks.forEach((block, i) => {
      expect(block).toMatch(
        new RegExp(`^${i + 2}\\. Instruction: .+\\n${i + 2}\\. Input:\\n[^]+\\n${i + 2}\\. Output:\\n[^]+`),
      );
    });
  });

  it('honours stops and limits', async () => {
    expect((await ask(ALPACA, { stop: ['\n4. Input'] })).text).toMatch(/4\. Instruction: [^\n]+$/);
    expect((await ask(ALPACA, { max_tokens: 50 })).finish_reason).toBe('length');
  });

  it('repeats itself with the same seed only', async () => {
    const [a, b, c] = [await ask(ALPACA), await ask(ALPACA), await ask(ALPACA, {}, { seed: 2 })];
    expect(a).toEqual(b);
    expect(a.text).not.toBe(c.text);
  });

  it('knows the stages of self-instruct', async () => {
    expect((await ask('Come up with a series of tasks:\n1. Sing a song.\n2. Name a town.\n3.')).text).toMatch(
      /^ \S.+\n4\. .+\n5\. /,
    );
    const classify = 'Task: Name a town.\nIs it classification? No\n\nTask: Classify the text as old or new.\n';
    expect((await ask(`${classify}Is it classification?`)).text).toBe(' Yes');
    const inputs = 'Task: Sort the list.\nExample 1\nList: b, a\nOutput: a, b\n\nTask: Shorten the following text.\n';
    expect((await ask(inputs)).text).toMatch(/^Example 1\nText: .+\nOutput: /);
    const labels =
      'Task: Tell old from new.\nClass label: old\nText: A ruin.\n\nTask: Classify the text as old or new.\n';
    expect((await ask(labels)).text).toMatch(/^Class label: old\nText: .+\nClass label: new\nText: /);
  });

  it('has thousands of tasks', () => {
    const rng = createRng(1);
    const instructions = new Set(Array.from({ length: 5000 }, () => makeTask(rng).instruction));
    expect(instructions.size).toBeGreaterThan(4500);
  });
});
