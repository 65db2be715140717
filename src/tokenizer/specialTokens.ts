// BOS, EOS, UNK and PAD of a Hugging Face folder: which tokens they are, and whether they are put around a text.
// Repositories of early 2023 name them '' or not at all; the LLaMA vocabulary has them as <s>, </s> and <unk>.
import { isObject, quote, type SpecialIds, unsupported } from './definition.ts';

export interface SpecialTokenFiles {
  /** tokenizer_config.json, {} when there is none. */
  config: Record<string, unknown>;
  /** special_tokens_map.json, {} when there is none. */
  map: Record<string, unknown>;
}

export type Role = 'bos' | 'eos' | 'unk' | 'pad';
export type NamedTokens = ReadonlyMap<Role, { content: string; id: number }>;

const LLAMA_NAMES: Readonly<Record<Role, string | undefined>> = {
  bos: '<s>',
  eos: '</s>',
  unk: '<unk>',
  pad: undefined,
};

/** 'text', or { content: 'text', ... }; undefined = nothing there. */
function contentOf(value: unknown): string | undefined {
  const content = isObject(value) ? value.content : value;
  return typeof content === 'string' ? content : undefined;
}

const isLlamaClass = (config: Record<string, unknown>) => /^llama/i.test(String(config.tokenizer_class));

/** @param idOf id of a token of the vocabulary. What has to be mended is told in `repairs`. */
export function namedTokens(
  files: SpecialTokenFiles,
  idOf: (token: string) => number | undefined,
  repairs: string[],
): NamedTokens {
  const named = new Map<Role, { content: string; id: number }>();
  for (const role of ['bos', 'eos', 'unk', 'pad'] as const) {
    const key = `${role}_token`;
    // Said outright: there is none.
    if (files.config[key] === null) continue;
    const given = contentOf(files.config[key]) ?? contentOf(files.map[key]);
    const content = given === undefined ? defaultName(files, role) : given;
    if (content === undefined) continue;
    const id = content === '' ? undefined : idOf(content);
    if (id !== undefined) {
      named.set(role, { content, id });
      continue;
    }
    // A default that is not there was only a guess.
    if (given === undefined) continue;
    const mended = mend(files, role, idOf);
    if (mended) named.set(role, mended);
    const found = mended ? `took ${quote(mended.content)} (id ${mended.id})` : 'left it out';
    repairs.push(`${key} is ${quote(given)}, which is not in the vocabulary: ${found}`);
  }
  return named;
}

/** LLaMA's tokenizer class knows its tokens by itself; without a class they are worth a try. */
function defaultName({ config }: SpecialTokenFiles, role: Role): string | undefined {
  return config.tokenizer_class === undefined || isLlamaClass(config) ? LLAMA_NAMES[role] : undefined;
}

function mend(files: SpecialTokenFiles, role: Role, idOf: (token: string) => number | undefined) {
  for (const content of [contentOf(files.map[`${role}_token`]), LLAMA_NAMES[role]]) {
    const id = content ? idOf(content) : undefined;
    if (content && id !== undefined) return { content, id };
  }
  return undefined;
}

/** @param postProcessor of tokenizer.json: its template says what is put around a text, unless the config does. */
export function specialIds(named: NamedTokens, files: SpecialTokenFiles, postProcessor: unknown): SpecialIds {
  const { config } = files;
  const template = templateItems(postProcessor);
  const bos = named.get('bos');
  const eos = named.get('eos');
  const pad = named.get('pad');
  const fromFile = {
    bos: template ? bos !== undefined && template[0] === bos.content : isLlamaClass(config),
    eos: template ? eos !== undefined && template.at(-1) === eos.content : false,
  };
  return {
    ...(bos ? { bosId: bos.id } : {}),
    ...(eos ? { eosId: eos.id } : {}),
    ...(pad ? { padId: pad.id } : {}),
    addBos: typeof config.add_bos_token === 'boolean' ? config.add_bos_token : fromFile.bos,
    addEos: typeof config.add_eos_token === 'boolean' ? config.add_eos_token : fromFile.eos,
  };
}

/** The special tokens of TemplateProcessing.single, undefined for the text itself: ['<s>', undefined]. */
function templateItems(processor: unknown): (string | undefined)[] | undefined {
  if (!isObject(processor)) return undefined;
  if (processor.type === 'Sequence' && Array.isArray(processor.processors)) {
    return processor.processors.map(templateItems).find((items) => items !== undefined);
  }
  if (processor.type !== 'TemplateProcessing' || !Array.isArray(processor.single)) return undefined;
  return processor.single.map((item) => {
    const special = isObject(item) && isObject(item.SpecialToken) ? item.SpecialToken.id : undefined;
    return typeof special === 'string' ? special : undefined;
  });
}

/** A template, or a list of { name, template }: 'default', else the first. @throws TOKENIZER_UNSUPPORTED otherwise. */
export function chatTemplateOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  // Saved empty, it would turn every chat into nothing.
  if (typeof value === 'string') return value.trim() === '' ? undefined : value;
  if (Array.isArray(value)) {
    const templates = value.filter((entry) => isObject(entry) && typeof entry.template === 'string');
    const chosen = templates.find((entry) => entry.name === 'default') ?? templates[0];
    if (chosen || value.length === 0) return chosen?.template;
  }
  throw unsupported(`chat_template is ${quote(value)}, neither a text nor a list of named texts`);
}
