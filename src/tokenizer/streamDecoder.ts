// Bytes of tokens -> text, as they come. At most three bytes wait: the beginning of a UTF-8 character (RFC 3629).
import type { PieceDecoding } from './definition.ts';
import type { StreamDecoder } from './tokenizer.ts';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * @param bytesOf undefined for a token that gives no text.
 * @param stripStart drop one space at the start of the text.
 * @param pieces SentencePiece's finer rules for that, and U+FFFD for every single byte that is wrong.
 */
export function createStreamDecoder(
  bytesOf: (id: number) => Uint8Array | undefined,
  stripStart: boolean,
  pieces?: PieceDecoding,
): StreamDecoder {
  let waiting: Uint8Array = new Uint8Array(0);
  let atStart = stripStart;
  const decode = pieces ? decodeBytewise : (bytes: Uint8Array) => utf8.decode(bytes);

  /** Takes the space that the encoder put in front. */
  const strip = (id: number, bytes: Uint8Array): Uint8Array => {
    const drop = bytes[0] === 0x20 && !pieces?.keepsSpace(id);
    const rest = drop ? bytes.subarray(1) : bytes;
    atStart = drop && rest.length === 0 && pieces?.stripEvery === true;
    return rest;
  };

  const flush = (): string => {
    const text = decode(waiting);
    waiting = new Uint8Array(0);
    return text;
  };

  return {
    push(id) {
      let bytes = bytesOf(id);
      // In SentencePiece a character does not go on behind a control token.
      if (!bytes || bytes.length === 0) return pieces ? flush() : '';
      if (atStart) bytes = strip(id, bytes);
      if (waiting.length > 0) bytes = concat(waiting, bytes);
      const complete = bytes.length - unfinished(bytes);
      waiting = bytes.slice(complete);
      return decode(bytes.subarray(0, complete));
    },
    flush,
  };
}

/** As SentencePiece does it: the browser's decoder has one U+FFFD for a whole run of bytes that was cut short. */
function decodeBytewise(bytes: Uint8Array): string {
  const text = utf8.decode(bytes);
  if (!text.includes('\ufffd')) return text;
  let mended = '';
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at]!;
    const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    const char = utf8.decode(bytes.subarray(at, at + length));
    const one = length === 4 ? char.codePointAt(0)! > 0xffff : char.length === 1;
    // A character may also be U+FFFD itself.
    const whole = one && (char !== '\ufffd' || (bytes[at + 1] === 0xbf && bytes[at + 2] === 0xbd));
    mended += whole ? char : '\ufffd';
    at += whole ? length : 1;
  }
  return mended;
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
