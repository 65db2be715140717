// A byte-level BPE of 300 tokens, as tokenizer.json has it: 256 bytes, some merges of common English, the two special
// tokens of ChatML.

/** GPT-2's alphabet: visible Latin-1 characters stand for themselves, the rest follows from U+0100 on. */
function byteAlphabet(): string[] {
  const visible = (b: number) => (b > 0x20 && b < 0x7f) || (b > 0xa0 && b !== 0xad && b < 0x100);
  let hidden = 0x100;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(visible(b) ? b : hidden++));
}

// Ġ is a space, Ċ a line break.
// biome-ignore format: one merge a line would be forty lines.
const merges = [
  'Ġ t', 'h e', 'Ġ a', 'i n', 'o n', 'r e', 'e r', 'a n', 'Ġt he', 'n d', 'Ġ s', 's t', 'Ġ w', 'e n', 'in g', 'Ġ i',
  'o r', 'Ġ o', 'a t', 'e s', 'Ġa nd', 'i s', 'o u', 'Ġ b', 'Ġ c', 'i t', 'Ġo f', 'Ġ f', 'Ġ m', 'Ġ in', 'i on', '# #',
  '## #', 'I n', 'In st', 'Inst r', 'Instr u', 'R e', 'p on', 's e', 'c t', 'Ċ Ċ',
];

export const specialTokens = ['<|im_start|>', '<|im_end|>'] as const;
export const tinyVocabSize = 256 + merges.length + specialTokens.length;

export const tinyChatTemplate =
  "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** The parsed tokenizer.json. */
export function tinyTokenizerJson(): Record<string, unknown> {
  const tokens = [...byteAlphabet(), ...merges.map((m) => m.replace(' ', ''))];
  const added = specialTokens.map((content, i) => ({
    id: tokens.length + i,
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  }));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      unk_token: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

/** The parsed tokenizer_config.json. */
export const tinyTokenizerConfig = (): Record<string, unknown> => ({
  tokenizer_class: 'GPT2Tokenizer',
  eos_token: '<|im_end|>',
  bos_token: null,
  chat_template: tinyChatTemplate,
});
