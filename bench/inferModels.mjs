// The two models of the inference benchmark, as files that both sides read, and prompts for them.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRng } from '../dist/base/index.js';
import { openCheckpoint } from '../dist/models/node.js';
import { renderChat } from '../dist/tokenizer/index.js';
import { writeRandomGguf } from './randomGguf.mjs';
import { fail, here } from './setup.mjs';

/** The project's own documentation, in a fixed order: English that nobody else owns. */
export function ownText() {
  const docs = readdirSync(here('../docs'))
    .filter((f) => f.endsWith('.md'))
    .sort()
    .map((f) => `../docs/${f}`);
  return [...docs, '../README.md', '../CONTRIBUTING.md', '../CHANGELOG.md', 'README.md']
    .map((f) => readFileSync(here(f), 'utf8'))
    .join('\n');
}

/** The questions of prompts24.json as the model's chat template puts them. */
export function chatPrompts(tokenizer) {
  const questions = JSON.parse(readFileSync(here('prompts24.json'), 'utf8'));
  return questions.map((content) =>
    tokenizer.encode(renderChat(tokenizer, [{ role: 'user', content }], { addGenerationPrompt: true })),
  );
}

/** Windows of the documentation that start at different places (some hundred different ones), or whole questions. */
async function textPrompts(file) {
  const { tokenizer, weights } = await openCheckpoint(file);
  await weights.close();
  const ids = tokenizer.encode(ownText());
  const chats = chatPrompts(tokenizer);
  return (index, count) => {
    if (count === 'chat') return chats[index % chats.length];
    const start = (index * 997) % (ids.length - count);
    return ids.slice(start, start + count);
  };
}

const models = {
  '135m': async () => {
    const file = process.env.HUACAYA_BENCH_GGUF;
    if (!file || !existsSync(file)) {
      fail('Set HUACAYA_BENCH_GGUF to SmolLM2-135M-Instruct.Q4_1.gguf (both sides load it); see bench/README.md.');
    }
    return { file, prompt: await textPrompts(file) };
  },
  '1.1b': async () => {
    const file = join(process.env.HUACAYA_BENCH_SCRATCH ?? join(tmpdir(), 'huacaya-bench'), 'random-1.1b-q4_0.gguf');
    await writeRandomGguf(file, '1.1b');
    // Past the vocabulary's single bytes.
    const id = (rng) => 300 + Math.floor(rng.uniform() * 31700);
    const prompt = (index, count) => {
      const rng = createRng(index);
      return Array.from({ length: count }, () => id(rng));
    };
    return { file, prompt };
  },
};

const opened = new Map();
/** @returns { file, prompt(index, count): token ids }; other indices, other tokens from the first on (but for 'chat'). */
export function inferModel(name) {
  if (!opened.has(name)) opened.set(name, models[name]());
  return opened.get(name);
}
