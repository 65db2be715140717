// The byte-level alphabet of GPT-2: every byte has a visible character, so that a vocabulary is plain text.
// Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.2.

/** Visible Latin-1 bytes stand for themselves; the others take the code points from 256 on, in order. */
const charOfByte: string[] = [];
const byteOfChar = new Map<string, number>();
for (let byte = 0, next = 256; byte < 256; byte++) {
  const visible = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const char = String.fromCharCode(visible ? byte : next++);
  charOfByte.push(char);
  byteOfChar.set(char, byte);
}

const encoder = new TextEncoder();

/** ' é' -> 'ĠÃ©'. */
export function spellBytes(text: string): string {
  let spelled = '';
  for (const byte of encoder.encode(text)) spelled += charOfByte[byte];
  return spelled;
}

/** 'ĠÃ©' -> the bytes of ' é'; undefined when a character is not of the alphabet. */
export function unspellBytes(spelled: string): Uint8Array | undefined {
  const bytes = new Uint8Array(spelled.length);
  for (let i = 0; i < spelled.length; i++) {
    const byte = byteOfChar.get(spelled[i]!);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}
