// An assistant over a fake generator, with the tiny model's tokenizer and chat template: prompts are real, answers are not.
import { chatPrompts, createAssistant, templatePrompts } from '../../src/assistant/index.ts';
import { checkId } from '../../src/assistant/node.ts';
import { HuacayaError } from '../../src/base/index.ts';
import { loadTemplate } from '../../src/data/node.ts';
import type { GeneratorAdapter } from '../../src/infer/index.ts';
import { fromTokenizerJson } from '../../src/tokenizer/index.ts';
import { type FakeGenerator, fakeGenerator } from './fakeGenerator.ts';
import { tinyTokenizerConfig, tinyTokenizerJson } from './tinyTokenizer.ts';

/** Folders `short` (template alpaca_short) and `chatty` (the chat template) hold adapters. */
export async function scriptedAssistant(generator: FakeGenerator = fakeGenerator()) {
  const tokenizer = fromTokenizerJson(tinyTokenizerJson(), tinyTokenizerConfig());
  const short = templatePrompts(await loadTemplate('alpaca_short'), tokenizer);
  const chat = chatPrompts(tokenizer);
  const assistant = createAssistant({
    id: 'tiny',
    tokenizer,
    generator,
    prompts: chat,
    checkId,
    async openAdapter(folder) {
      const prompts = { short, chatty: chat }[folder];
      if (!prompts) throw new HuacayaError('ADAPTER_NOT_FOUND', `${folder}: has no adapter_config.json`);
      return { adapter: {} as GeneratorAdapter, prompts };
    },
  });
  return { assistant, generator, tokenizer };
}
