// The assistant over a generator: which names there are, how each is asked, and what a request becomes.
import { HuacayaError, nearNames, usageError } from '../base/index.ts';
import { defaultSampling, type GenerationRequest, type GeneratorAdapter, type TextGenerator } from '../infer/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import type { Assistant, BuiltPrompt, ModelEntry } from './assistant.ts';
import type { PromptBuilder } from './prompts.ts';

export interface OpenedAdapter {
  adapter: GeneratorAdapter;
  prompts: PromptBuilder;
}

export interface AssistantParts {
  /** The base model's id. */
  id: string;
  tokenizer: Tokenizer;
  generator: TextGenerator;
  /** How the base model is asked. */
  prompts: PromptBuilder;
  /** Reads an adapter folder for this model. @throws HuacayaError ADAPTER_NOT_FOUND, BAD_ADAPTER, ... */
  openAdapter(folder: string): Promise<OpenedAdapter>;
  /** Checks the name of a new adapter. @throws HuacayaError USAGE. */
  checkId(id: string): string;
}

/** Longest answer in tokens where nothing is said. */
export const defaultMaxNewTokens = 256;

/** Without the keys whose value is undefined: an option that is not set must not hide its default. */
export const defined = <T extends object>(options: T): T =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;

export function createAssistant(parts: AssistantParts): Assistant {
  const { id, tokenizer, generator } = parts;
  const known = new Map<string, { entry: ModelEntry; prompts: PromptBuilder }>();
  const add = (entry: Pick<ModelEntry, 'id' | 'kind' | 'source'>, prompts: PromptBuilder): ModelEntry => {
    const made = { ...entry, template: prompts.name, remembers: prompts.remembers };
    known.set(entry.id, { entry: made, prompts });
    return made;
  };
  add({ id, kind: 'base' }, parts.prompts);
  /** Being loaded: nobody else may take the name meanwhile. */
  const coming = new Set<string>();

  const find = (name: string) => {
    const found = known.get(name);
    if (found) return found;
    const near = nearNames(name, [...known.keys()]);
    throw new HuacayaError('UNKNOWN_MODEL', `there is no model ${JSON.stringify(name)} here`, {
      hint: near.length > 0 ? `Did you mean ${near.join(' or ')}?` : `Known: ${[...known.keys()].join(', ')}.`,
      exitCode: 2,
    });
  };
  const built = (prompts: PromptBuilder, ids: number[]): BuiltPrompt => ({ ids, stop: prompts.stop });

  return {
    id,
    tokenizer,
    generator,
    get models() {
      return [...known.values()].map(({ entry }) => entry);
    },
    entry: (name) => find(name).entry,
    async addAdapter(name, folder) {
      parts.checkId(name);
      if (known.has(name) || coming.has(name)) throw usageError(`there is a model ${JSON.stringify(name)} already`);
      coming.add(name);
      try {
        const { adapter, prompts } = await parts.openAdapter(folder);
        await generator.addAdapter(name, adapter);
        return add({ id: name, kind: 'adapter', source: folder }, prompts);
      } finally {
        coming.delete(name);
      }
    },
    async removeAdapter(name) {
      const { entry } = find(name);
      if (entry.kind === 'base') throw usageError(`${name} is the base model; only adapters can be removed`);
      known.delete(name);
      coming.add(name);
      try {
        await generator.removeAdapter(name);
      } finally {
        coming.delete(name);
      }
    },
    chatPrompt(model, messages, tools) {
      const { prompts } = find(model);
      return built(prompts, prompts.chat(messages, tools));
    },
    instructionPrompt(model, question) {
      const { prompts } = find(model);
      return built(prompts, prompts.instruction(question));
    },
    answer(prompt, { model = id, sampling = {}, ...options } = {}) {
      const { entry } = find(model);
      const given = defined(options);
      const request: GenerationRequest = {
        maxNewTokens: defaultMaxNewTokens,
        ...given,
        promptIds: prompt.ids,
        stop: [...prompt.stop, ...(given.stop ?? [])],
        sampling: { ...defaultSampling, ...defined(sampling) },
        ...(entry.kind === 'adapter' ? { adapter: model } : {}),
      };
      return generator.generate(request);
    },
    close: () => generator.close(),
  };
}
