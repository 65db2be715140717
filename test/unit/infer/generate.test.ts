// The loop of generation with a model that says what it is told to: how an answer ends, and what is shown when.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Generated, type GenerateOptions, generate, generateText } from '../../../src/infer/index.ts';
import type { InferencePass, ResidentAdapter } from '../../../src/runner/index.ts';
import { fromTokenizerJson } from '../../../src/tokenizer/index.ts';
import { tinyTokenizerConfig, tinyTokenizerJson, tinyVocabSize } from '../../helpers/tinyTokenizer.ts';

const tokenizer = fromTokenizerJson(tinyTokenizerJson(), tinyTokenizerConfig());
const eos = tokenizer.eosId!;

/** A pass whose most probable tokens are `script`, one after the other. */
function scripted(script: readonly number[]) {
  const log = { advanced: [] as number[][], adapters: [] as unknown[], capacity: 0, freed: 0 };
  let at = 0;
  const pass = {
    createCache: (capacity: number) => {
      log.capacity = capacity;
      return { keys: [], values: [], capacity, length: 0 };
    },
    freeCache: () => log.freed++,
    async advance(_cache: unknown, ids: readonly number[], adapter?: ResidentAdapter) {
      log.advanced.push([...ids]);
      log.adapters.push(adapter);
      const logits = new Float32Array(tinyVocabSize);
      logits[script[at++ % script.length]!] = 10;
      return logits;
    },
  } as unknown as InferencePass;
  return { pass, log };
}

const greedy: GenerateOptions = { temperature: 0, topP: 1, topK: 0, maxNewTokens: 50, seed: 0 };

async function collect(pass: InferencePass, options: Partial<GenerateOptions> = {}, prompt = [1, 2, 3]) {
  const stream = generate(pass, tokenizer, prompt, { ...greedy, ...options });
  const pieces: string[] = [];
  for (;;) {
    const next = await stream.next();
    if (next.done) return { pieces, ...(next.value as Generated) };
    pieces.push(next.value);
  }
}

const text = (s: string) => tokenizer.encode(s);

describe('an answer ends', () => {
  it('at the end token, which is counted and not shown', async () => {
    const { pass, log } = scripted([...text('Hello'), eos, ...text('more')]);
    const answer = await collect(pass);
    expect(answer).toMatchObject({ text: 'Hello', finish: 'eos', promptTokens: 3 });
    expect(answer.ids).toEqual([...text('Hello'), eos]);
    expect(log.freed).toBe(1);
  });

  it('at any of the tokens that end a reply', async () => {
    const { pass } = scripted([...text('a'), 299, ...text('b')]);
    const ends = { ...tokenizer, eosIds: [298, 299], stream: tokenizer.stream };
    expect(await generateText(pass, ends, [1], greedy)).toMatchObject({ text: 'a', finish: 'eos' });
  });

  it('at the length, with exactly so many tokens', async () => {
    const { pass, log } = scripted(text('x'));
    const answer = await collect(pass, { maxNewTokens: 7 });
    expect(answer).toMatchObject({ text: 'xxxxxxx', finish: 'length' });
    expect(answer.ids).toHaveLength(7);
    expect(log.capacity).toBe(3 + 7);
  });

  it('before a stop string that spans tokens', async () => {
    const { pass } = scripted(text('fine.\n### Instruction: next'));
    const answer = await collect(pass, { stop: ['### Instruction:'] });
    expect(answer).toMatchObject({ text: 'fine.\n', finish: 'stop' });
    expect(answer.pieces.join('')).toBe('fine.\n');
  });

  it('after the token in progress when it is aborted', async () => {
    const stop = new AbortController();
    const { pass, log } = scripted(text('y'));
    const shown: string[] = [];
    const stream = generate(pass, tokenizer, [1], { ...greedy, signal: stop.signal });
    for (;;) {
      const next = await stream.next();
      if (next.done) {
        expect(next.value).toMatchObject({ finish: 'aborted', text: 'yyy' });
        break;
      }
      shown.push(next.value);
      if (shown.length === 3) stop.abort();
    }
    expect(log.freed).toBe(1);
  });

  it('and gives its memory back when the reader goes away', async () => {
    const { pass, log } = scripted(text('z'));
    for await (const piece of generate(pass, tokenizer, [1], greedy)) {
      expect(piece).toBe('z');
      break;
    }
    expect(log.freed).toBe(1);
  });

  it('and gives its memory back when the engine fails', async () => {
    const { pass, log } = scripted(text('z'));
    pass.advance = () => Promise.reject(new Error('engine'));
    await expect(collect(pass)).rejects.toThrow('engine');
    expect(log.freed).toBe(1);
  });
});

describe('the model', () => {
  it('reads the prompt once and then one token at a time, with the adapter', async () => {
    const { pass, log } = scripted([...text('abc'), eos]);
    const adapter = { image: {} } as ResidentAdapter;
    await collect(pass, { adapter });
    const [a, b, c] = text('abc');
    expect(log.advanced).toEqual([[1, 2, 3], [a], [b], [c]]);
    expect(new Set(log.adapters)).toEqual(new Set([adapter]));
  });
});

describe('the stream', () => {
  it('never shows half a character', async () => {
    const { pass } = scripted([...text('é🦙!'), eos]);
    const { pieces } = await collect(pass);
    expect(pieces).toEqual(['é', '🦙', '!']);
  });

  it('shows what was held back when the end comes', async () => {
    const llama = text('🦙').slice(0, 2);
    expect(await collect(scripted([...text('ok'), ...llama, eos]).pass)).toMatchObject({ text: 'ok\ufffd' });
    const held = await collect(scripted([...text('ok ##'), eos]).pass, { stop: ['###'] });
    expect(held).toMatchObject({ text: 'ok ##', finish: 'eos' });
    const cut = await collect(scripted(text('ok #')).pass, { stop: ['###'], maxNewTokens: text('ok #').length });
    expect(cut).toMatchObject({ text: 'ok #', finish: 'length' });
    expect(cut.pieces.join('')).toBe('ok #');
  });

  it('adds up to the text, which is what comes before the first stop', async () => {
    const words = fc.array(fc.constantFrom('the ', '#', '# ', '🦙', 'a', '\n\n'), { maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(words, fc.constantFrom('##', '# a', '🦙a', '\n'), async (parts, stop) => {
        const whole = parts.join('');
        const answer = await collect(scripted([...text(whole), eos]).pass, { stop: [stop] });
        const at = whole.indexOf(stop);
        expect(answer.text).toBe(at < 0 ? whole : whole.slice(0, at));
        expect(answer.pieces.join('')).toBe(answer.text);
        expect(answer.finish).toBe(at < 0 ? 'eos' : 'stop');
        expect(answer.pieces).not.toContain('');
      }),
      { numRuns: 100 },
    );
  });
});

describe('refuses', () => {
  it.each([
    [{ maxNewTokens: 0 }, /max_new_tokens is 0/],
    [{ maxNewTokens: 2.5 }, /max_new_tokens is 2.5/],
    [{ maxNewTokens: NaN }, /max_new_tokens is NaN/],
    [{ topK: 5 }, /no effect at temperature 0/],
    [{ temperature: -1 }, /temperature/],
  ])('%j', async (changes, message) => {
    const { pass, log } = scripted([eos]);
    await expect(collect(pass, changes)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(message),
    });
    expect(log.capacity).toBe(0);
  });

  it('an empty prompt', async () => {
    await expect(collect(scripted([eos]).pass, {}, [])).rejects.toMatchObject({ code: 'USAGE' });
  });
});
