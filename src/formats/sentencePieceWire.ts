// The protobuf wire format of SentencePiece's messages: known fields are read by a schema, unknown ones skipped.
// https://protobuf.dev/programming-guides/encoding/
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { HuacayaError } from '../base/index.ts';

/** Bytes of one piece, or of a name. */
export const maxTextBytes = 1 << 16;

type Value = string | number | boolean | Uint8Array;
/** Field number -> value. */
export type ProtoFields = Map<number, Value>;
/** Field number -> what it holds; a function is handed the bytes of a nested message. */
export type ProtoSchema = Readonly<
  Record<number, 'text' | 'bytes' | 'int' | 'bool' | 'float' | ((bytes: Uint8Array) => unknown)>
>;

const WIRE_TYPES = {
  text: WireType.LengthDelimited,
  bytes: WireType.LengthDelimited,
  int: WireType.Varint,
  bool: WireType.Varint,
  float: WireType.Bit32,
} as const;

// With its own decoder the byte order mark, which is a piece of LLaMA's, stays.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @param bad makes the error for what is wrong in this message. */
export function readMessage(
  bytes: Uint8Array,
  schema: ProtoSchema,
  bad: (why: string, cause?: unknown) => HuacayaError,
): ProtoFields {
  const reader = new BinaryReader(bytes);
  const fields: ProtoFields = new Map();
  let at = 0;
  try {
    while (reader.pos < reader.len) {
      at = reader.pos;
      const [no, wireType] = reader.tag();
      const kind = schema[no];
      if (kind === undefined) {
        // SentencePiece has no groups: they would only be a way to nest without end.
        if (wireType === WireType.StartGroup) throw bad(`field ${no} at byte ${at} is a group`);
        reader.skip(wireType);
        continue;
      }
      const expected = typeof kind === 'string' ? WIRE_TYPES[kind] : WireType.LengthDelimited;
      if (wireType !== expected) {
        throw bad(`field ${no} at byte ${at} has the wire type ${wireType}, expected ${expected}`);
      }
      if (typeof kind !== 'string') kind(reader.bytes());
      else if (fields.has(no)) throw bad(`field ${no} is there twice, again at byte ${at}`);
      else fields.set(no, readValue(reader, kind));
    }
  } catch (cause) {
    if (cause instanceof HuacayaError) throw cause;
    throw bad(`broken at byte ${at}: ${(cause as Error).message}`, cause);
  }
  return fields;
}

function readValue(reader: BinaryReader, kind: keyof typeof WIRE_TYPES): Value {
  switch (kind) {
    case 'int':
      return reader.int32();
    case 'bool':
      return reader.bool();
    case 'float':
      return reader.float();
    case 'bytes':
      return reader.bytes();
    case 'text': {
      const bytes = reader.bytes();
      if (bytes.length > maxTextBytes) {
        throw new Error(`a text of ${bytes.length} bytes; ${maxTextBytes} is the most`);
      }
      return utf8.decode(bytes);
    }
  }
}

/** Files that are found under the name tokenizer.model and are something else: what, and what to do. */
export function tellWhatItIs(bytes: Uint8Array): { what: string; hint: string } | undefined {
  const again = 'Download it again.';
  if (bytes.length === 0) return { what: 'is empty', hint: again };
  const start = new TextDecoder('latin1').decode(bytes.subarray(0, 200));
  if (/^[A-Za-z0-9+/]+=* \d+\r?\n/.test(start)) {
    return {
      what: 'is a tiktoken vocabulary (lines of base64 and rank), as Llama 3 has, not a SentencePiece model',
      hint: "Use the tokenizer.json of the model's Hugging Face folder.",
    };
  }
  if (start.startsWith('version https://git-lfs')) {
    return { what: 'is a Git LFS pointer, not the file itself', hint: 'Fetch the file: git lfs pull, or download it.' };
  }
  if (/^[<{]/.test(start)) return { what: 'is a web page or JSON, not a SentencePiece model', hint: again };
  return undefined;
}
