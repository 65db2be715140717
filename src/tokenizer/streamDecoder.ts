// Bytes of tokens -> text, as they come. At most three bytes wait: the beginning of a UTF-8 character (RFC 3629).
import type { StreamDecoder } from './tokenizer.ts';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * @param bytesOf undefined for a token that gives no text.
 * @param stripStart drop one space at the start of the text.
 */
export function createStreamDecoder(
  bytesOf: (id: number) => Uint8Array | undefined,
  stripStart: boolean,
): StreamDecoder {
  let waiting: Uint8Array = new Uint8Array(0);
  let atStart = stripStart;

  const emit = (bytes: Uint8Array): string => {
    const text = utf8.decode(bytes);
    if (!atStart || text === '') return text;
    atStart = false;
    return text.startsWith(' ') ? text.slice(1) : text;
  };

  return {
    push(id) {
      let bytes = bytesOf(id);
      if (!bytes || bytes.length === 0) return '';
      if (waiting.length > 0) bytes = concat(waiting, bytes);
      const complete = bytes.length - unfinished(bytes);
      waiting = bytes.slice(complete);
      return emit(bytes.subarray(0, complete));
    },
    flush() {
      const text = emit(waiting);
      waiting = new Uint8Array(0);
      return text;
    },
  };
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

/** How many bytes at the end are the beginning of a character that more bytes could complete. */
function unfinished(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const lead = bytes[bytes.length - back]!;
    if (lead >= 0x80 && lead < 0xc0) continue;
    const needed = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    return back < needed && mayFollow(lead, bytes[bytes.length - back + 1]) ? back : 0;
  }
  return 0;
}

/** The second byte is bounded for some leads: no overlong forms, no surrogates, nothing above U+10FFFF. */
function mayFollow(lead: number, second: number | undefined): boolean {
  if (lead < 0xc2 || lead > 0xf4) return false;
  if (second === undefined) return true;
  if (lead === 0xe0) return second >= 0xa0;
  if (lead === 0xed) return second < 0xa0;
  if (lead === 0xf0) return second >= 0x90;
  if (lead === 0xf4) return second < 0x90;
  return true;
}
