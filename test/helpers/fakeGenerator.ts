// A TextGenerator without a model: it answers with what it was asked, and keeps the requests.
import type { Generated, GenerationRequest, Piece, TextGenerator } from '../../src/infer/index.ts';

export interface FakeGenerator extends TextGenerator {
  readonly requests: GenerationRequest[];
  closed: boolean;
}

/** @param answer pieces of the answer to a request; an error is thrown. */
export function fakeGenerator(
  answer: (request: GenerationRequest) => readonly string[] = () => ['an ', 'answer'],
  positions = 512,
): FakeGenerator {
  const adapters = new Set<string>();
  const requests: GenerationRequest[] = [];
  async function* generate(request: GenerationRequest): AsyncGenerator<Piece, Generated> {
    requests.push(request);
    const pieces = answer(request);
    const said: string[] = [];
    for (const text of pieces) {
      if (request.signal?.aborted) break;
      said.push(text);
      yield { text, ids: [said.length] };
      await new Promise((next) => setImmediate(next));
    }
    const finish = request.signal?.aborted ? 'aborted' : 'eos';
    return {
      text: said.join(''),
      ids: said.map((_, i) => i + 1),
      finish,
      promptTokens: request.promptIds.length,
      cachedTokens: 2,
      queueSeconds: 0,
      prefillSeconds: 0.1,
      decodeSeconds: 0.1,
    };
  }
  const fake: FakeGenerator = {
    requests,
    closed: false,
    info: { vocabSize: 300, positions, slots: 2, precision: 'fp32' },
    generate,
    get adapters() {
      return [...adapters];
    },
    async addAdapter(name) {
      adapters.add(name);
    },
    async removeAdapter(name) {
      adapters.delete(name);
    },
    stats: () => ({
      running: 0,
      waiting: 0,
      promptTokens: 0,
      cachedTokens: 0,
      generatedTokens: 0,
      prefillSeconds: 0,
      decodeSeconds: 0,
    }),
    async close() {
      fake.closed = true;
    },
  };
  return fake;
}
