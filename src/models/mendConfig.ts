// config.json as the first conversions of 2023 wrote it, before transformers knew LLaMA under its present name.

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** LLaMAForCausalLM -> LlamaForCausalLM; undefined for every other name. */
function presentName(className: unknown): string | undefined {
  return typeof className === 'string' && className.startsWith('LLaMA') ? `Llama${className.slice(5)}` : undefined;
}

/**
 * What is missing is filled in from what else the file says; what only has an old name is read as what it is today.
 * @param json parsed config.json; anything but an object is handed back as it is, for `configFromJson` to refuse.
 */
export function mendConfig(json: unknown, repairs: string[]): unknown {
  if (!isObject(json)) return json;
  const mended: Record<string, unknown> = { ...json };
  const classes = Array.isArray(json.architectures) ? json.architectures : [];
  for (const name of classes) {
    const present = presentName(name);
    if (present) repairs.push(`config.json: the class ${name} is ${present} today`);
  }
  if (json.model_type === undefined && classes.some((name) => /^llama/i.test(String(name)))) {
    repairs.push('config.json: has no model_type: took llama from the name of the class');
    mended.model_type = 'llama';
  }
  if (json.max_position_embeddings === undefined && typeof json.max_sequence_length === 'number') {
    repairs.push(`config.json: took max_sequence_length (${json.max_sequence_length}) for max_position_embeddings`);
    mended.max_position_embeddings = json.max_sequence_length;
  }
  return mended;
}

/** Says what the tokenizer's class is called today. @param json parsed tokenizer_config.json or undefined. */
export function noteTokenizerClass(json: unknown, repairs: string[]): void {
  const name = isObject(json) ? json.tokenizer_class : undefined;
  const present = presentName(name);
  if (present) repairs.push(`tokenizer_config.json: the class ${name} is ${present} today`);
}
