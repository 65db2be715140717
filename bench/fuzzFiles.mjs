// Damaged files from a seed, for the parsers that read what strangers made. Used by test/unit/formats/fuzz.test.ts (from
// src) and bench/fuzz.mjs (from dist); both hand the parsers in. Case n of a seed is the same file each time.

import { getHeapStatistics } from 'node:v8';
import { gunzipSync } from 'node:zlib';

/** Numbers that parsers are afraid of, as 64 bits; shorter fields get the low part. */
const extremes = [0n, 1n, 2n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn].concat([
  2n ** 32n,
  2n ** 40n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 2n,
  2n ** 64n - 1n,
]);

/** One damage. `others` are files of the same kind, to splice from; `words` are what a parser of this kind looks for. */
function damageOnce(bytes, rng, focus, others, words) {
  // Most of a parser's decisions hang on a header (or on a zip's directory, at the end).
  const near = Math.min(focus, bytes.length);
  const place = rng.below(8);
  const at =
    place < 5 ? rng.below(near + 1) : place < 7 ? rng.below(bytes.length + 1) : bytes.length - rng.below(near + 1);
  const insert = (piece, skip = 0) => {
    const rest = Math.min(bytes.length, at + skip);
    const out = new Uint8Array(at + piece.length + bytes.length - rest);
    out.set(bytes.subarray(0, at));
    out.set(piece, at);
    out.set(bytes.subarray(rest), at + piece.length);
    return out;
  };
  const part = (from) => {
    const start = rng.below(from.length + 1);
    return from.subarray(start, start + 1 + rng.below(rng.below(4) ? 16 : 400));
  };
  const copy = bytes.slice();
  switch (rng.below(12)) {
    case 0:
      if (at < copy.length) copy[at] ^= 1 << rng.below(8);
      return copy;
    case 1:
      for (let i = 0; i < 4 && copy.length; i++) copy[rng.below(copy.length)] = rng.below(256);
      return copy;
    case 2:
      copy.fill([0, 1, 0xff, 0x7f, 0x80][rng.below(5)], at, at + 1 + rng.below(8));
      return copy;
    case 3:
      return bytes.slice(0, at);
    case 4:
      return insert(new Uint8Array(0), 1 + rng.below(16));
    case 5:
      return insert(part(bytes));
    case 6:
    case 7: {
      // A length, an offset or a count becomes extreme, or off by a little.
      const size = [1, 2, 4, 8][rng.below(4)];
      const start = Math.min(at, Math.max(0, copy.length - size));
      if (start + size > copy.length) return copy;
      let value = extremes[rng.below(extremes.length)];
      if (rng.below(3) === 0) {
        value = 0n;
        for (let i = size; i-- > 0; ) value = (value << 8n) | BigInt(copy[start + i]);
        value += BigInt(rng.below(33) - 16);
      }
      for (let i = 0; i < size; i++) copy[start + i] = Number((value >> BigInt(8 * i)) & 255n);
      return copy;
    }
    case 8:
      return insert(part(others[rng.below(others.length)]), rng.below(2) ? rng.below(16) : 0);
    case 9: {
      const other = others[rng.below(others.length)];
      const from = rng.below(other.length + 1);
      return insert(other.subarray(from), bytes.length);
    }
    case 10:
      return words.length ? insert(words[rng.below(words.length)], rng.below(3) ? 0 : 1 + rng.below(8)) : copy;
    default:
      // Digits, brackets, quotes: text that stays text.
      if (at < copy.length) copy[at] = 32 + rng.below(95);
      return copy;
  }
}

/** One to four damages. */
export function mutate(bytes, rng, { focus = bytes.length, others = [bytes], words = [] } = {}) {
  let out = bytes;
  for (let times = 1 + (rng.below(2) ? 0 : rng.below(4)); times > 0; times--)
    out = damageOnce(out, rng, focus, others, words);
  return out;
}

const text = (value) => new Uint8Array(Buffer.from(value, 'latin1'));

/** Each opcode of the pickle machine, alone and with what it works on, and names that must be refused. */
const pickleWords = [
  ...Array.from({ length: 256 }, (_, i) => new Uint8Array([i])),
  ...[
    'cos\nsystem\n',
    'ctorch._utils\n_rebuild_tensor_v2\n',
    'ccollections\nOrderedDict\n',
    'ctorch\nFloatStorage\n',
  ].map(text),
  ...[
    'ctorch\nSize\n',
    '(ios\nsystem\n',
    ')R',
    '}b',
    '](',
    'e',
    '}(',
    'u',
    '(t',
    'K\x00K\x00\x86',
    'N.',
    'Q',
    'q\x00',
    'h\x00',
  ].map(text),
  ...[
    '\x8c\x02os\x8c\x06system\x93',
    '\x95\xff\x00\x00\x00\x00\x00\x00\x00',
    'X\xff\xff\xff\xff',
    '\x8a\xff',
    '\x80\x04',
  ].map(text),
  ...[
    'J\xff\xff\xff\xff',
    'J\xff\xff\xff\x7f',
    'r\xff\xff\xff\xff',
    'j\xff\xff\xff\xff',
    '((((((((((((((((',
    '\x85\x85\x85\x85',
  ].map(text),
];
const jsonWords = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  '\\',
  '\\u0000',
  '\\ud800',
  '1e308',
  '-1',
  '0.5',
  '9007199254740993',
  'null',
]
  .concat([
    '"dtype":"F32",',
    '"shape":[',
    '"data_offsets":[0,',
    '"__metadata__":{',
    '"__proto__":',
    '{"a":{"a":{"a":',
    '[[[[[[[[',
  ])
  .map(text);
const wireWords = [
  [0x0a],
  [0x12],
  [0x1a],
  [0x22],
  [0x2a],
  [0x15],
  [0x18],
  [0x0b],
  [0x0c],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
]
  .concat([
    [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
  ])
  .map((bytes) => new Uint8Array(bytes));

let crcTable;
function crc32(bytes) {
  crcTable ??= Uint32Array.from({ length: 256 }, (_, i) => {
    let value = i;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    return value;
  });
  let crc = -1;
  for (const byte of bytes) crc = (crc >>> 8) ^ crcTable[(crc ^ byte) & 255];
  return ~crc >>> 0;
}

/** A plain zip of stored entries with right checksums, so that what is in it reaches the parser behind. */
export function writeZip(entries) {
  const named = entries.map(([name, data]) => ({ name: text(name), data, crc: crc32(data), at: 0 }));
  const size = named.reduce((sum, { name, data }) => sum + 76 + 2 * name.length + data.length, 22);
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  let at = 0;
  const put = (bytes, ...fields) => {
    for (const field of fields) {
      if (bytes === 2) view.setUint16(at, field, true);
      else view.setUint32(at, field, true);
      at += bytes;
    }
  };
  const raw = (bytes) => {
    out.set(bytes, at);
    at += bytes.length;
  };
  const common = ({ name, data, crc }) => {
    put(2, 0, 0, 0, 0);
    put(4, crc, data.length, data.length);
    put(2, name.length, 0);
  };
  for (const entry of named) {
    entry.at = at;
    put(4, 0x04034b50);
    put(2, 20);
    common(entry);
    raw(entry.name);
    raw(entry.data);
  }
  const start = at;
  for (const entry of named) {
    put(4, 0x02014b50);
    put(2, 20, 20);
    common(entry);
    put(2, 0, 0, 0);
    put(4, 0, entry.at);
    raw(entry.name);
  }
  const length = at - start;
  put(4, 0x06054b50);
  put(2, 0, 0, named.length, named.length);
  put(4, length, start);
  put(2, 0);
  return out;
}

/** Opens, then reads a few tensors, whole and in part. */
async function readSome(file) {
  try {
    const names = [...file.tensors.keys()];
    for (const name of names.slice(0, 3).concat(names.slice(-3))) {
      await file.readFloat32(name);
      await file.readFloat32(name, 0, Math.min(1, file.tensors.get(name).shape[0] ?? 1));
    }
    if (file.readBytes && names.length) await file.readBytes(names[0]);
  } finally {
    await file.close();
  }
}

/**
 * The parsers with their files and what to do with one.
 * @param room what `src/base` and `src/formats` export: memorySource, encodeSafetensors, openSafetensors, openGguf,
 *   openTorchFile, readZipDirectory, parseSentencePieceModel
 * @param fixture bytes of a file in test/fixtures
 */
export async function createTargets(room, fixture) {
  const { memorySource } = room;
  const small = room.encodeSafetensors(
    [
      { name: 'a.weight', dtype: 'F32', shape: [2, 3], data: new Float32Array(6) },
      { name: 'b.weight', dtype: 'F16', shape: [3], data: new Uint16Array(3) },
      { name: 'c', dtype: 'I64', shape: [], data: new BigInt64Array(1) },
    ],
    { format: 'pt' },
  );
  const one = room.encodeSafetensors([{ name: 'w', dtype: 'BF16', shape: [4, 4], data: new Uint16Array(16) }], {});
  const source = (bytes) => memorySource('x', bytes);
  const zips = ['strided', 'trainer', 'protocol4', 'unsigned', 'module'].map((name) => fixture(`torch/${name}.pt`));
  const legacies = ['types', 'strided', 'views', 'python2', 'protocol5'].map((name) =>
    fixture(`torch/${name}-legacy.pt`),
  );
  const unpacked = await Promise.all(zips.map((bytes) => unpack(room, bytes)));
  const tinyFields = smallSentencePiece();
  const tiny = joinFields(tinyFields);
  const models = [tiny, tiny, tiny, new Uint8Array(gunzipSync(fixture('tokenizer/spm/unigramBytes.model.gz')))];

  const plain = (files, focus, words, open) => ({
    make: (rng) => mutate(files[rng.below(files.length)], rng, { focus, others: files, words }),
    open,
  });
  const safetensors = plain([small, one], 240, jsonWords);
  const sentencepiece = plain(models, 300, wireWords);
  const torchPlain = plain([...zips, ...legacies, fixture('torch/zip64.pt')], 700, pickleWords);
  return {
    safetensors: {
      make(rng) {
        const bytes = safetensors.make(rng);
        // The length of the header is made right again, so that what is in it counts.
        const end = new TextDecoder('latin1').decode(bytes).lastIndexOf('}') + 1;
        if (end > 8 && rng.below(2)) new DataView(bytes.buffer).setBigUint64(0, BigInt(end - 8), true);
        return bytes;
      },
      open: async (bytes) => readSome(await room.openSafetensors(source(bytes))),
    },
    gguf: plain([fixture('gguf/allTypes.gguf'), smallGguf()], 900, [], async (bytes) =>
      readSome(await room.openGguf(source(bytes))),
    ),
    torch: {
      make(rng) {
        if (rng.below(3) === 0) return torchPlain.make(rng);
        // Damage within the pickle or a small entry, checksums right again.
        const entries = unpacked[rng.below(unpacked.length)].map((entry) => [...entry]);
        const pickles = unpacked.map((list) => list[0][1]);
        const which = rng.below(5) ? 0 : rng.below(entries.length);
        entries[which][1] = mutate(entries[which][1], rng, { others: pickles, words: pickleWords });
        return writeZip(entries);
      },
      open: async (bytes) => readSome(await room.openTorchFile(source(bytes))),
    },
    sentencepiece: {
      make(rng) {
        if (rng.below(3) === 0) return sentencepiece.make(rng);
        // Damage within one field, whose length is right again.
        const fields = [...tinyFields];
        const which = rng.below(fields.length);
        const others = tinyFields.map(([, bytes]) => bytes);
        fields[which] = [fields[which][0], mutate(fields[which][1], rng, { others, words: wireWords })];
        return joinFields(fields);
      },
      open: async (bytes) => room.parseSentencePieceModel(bytes, 'x'),
    },
    zip: plain([fixture('zip/streamed.zip'), fixture('torch/zip64.pt'), zips[2]], 420, [], (bytes) =>
      room.readZipDirectory(source(bytes)),
    ),
  };
}

/** [name, bytes] of each entry that a checkpoint needs, data.pkl first. */
async function unpack({ readZipDirectory, memorySource }, bytes) {
  const entries = [...(await readZipDirectory(memorySource('x', bytes))).values()];
  const named = (pattern) => entries.filter(({ name }) => pattern.test(name));
  return [...named(/\/data\.pkl$/), ...named(/\/(byteorder|version)$/), ...named(/\/data\/\d+$/)].map(
    ({ name, dataOffset, uncompressedSize }) => [name, bytes.slice(dataOffset, dataOffset + uncompressedSize)],
  );
}

/** Keys of several types, nested arrays, three tensors. */
function smallGguf() {
  const u32 = (value) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
  const u64 = (value) => [...u32(value), 0, 0, 0, 0];
  const string = (value) => [...u64(value.length), ...text(value)];
  const key = (name, ...value) => [...string(name), ...value.flat()];
  const tensor = (name, dims, type, offset) => [
    ...string(name),
    ...u32(dims.length),
    ...dims.flatMap(u64),
    ...u32(type),
    ...u64(offset),
  ];
  const head = [
    ...text('GGUF'),
    ...u32(3),
    ...u64(3),
    ...u64(5),
    ...key('general.architecture', u32(8), string('llama')),
    ...key('general.alignment', u32(4), u32(32)),
    ...key('tokens', u32(9), u32(8), u64(2), string('a'), string('b')),
    ...key('ids', u32(9), u32(4), u64(2), u32(1), u32(2)),
    ...key('nested', u32(9), u32(9), u64(1), u32(0), u64(1), [1]),
    ...tensor('a', [32, 2], 3, 0),
    ...tensor('b', [4], 0, 64),
    ...tensor('c', [256], 14, 96),
  ];
  return new Uint8Array([...head, ...new Uint8Array((32 - (head.length % 32)) % 32), ...new Uint8Array(96 + 210)]);
}

const field = (number, bytes) => [(number << 3) | 2, (bytes.length & 127) | 128, bytes.length >> 7, ...bytes];

/** A SentencePiece model with each kind of piece, a trainer_spec and a normalizer_spec: [field number, bytes]. */
function smallSentencePiece() {
  const score = (value) => [0x15, ...new Uint8Array(new Float32Array([value]).buffer)];
  const piece = (name, value, type) => [1, [...field(1, text(name)), ...score(value), 0x18, type]];
  const trainer = [0x18, 2, 0x20, 9, 0x98, 2, 0, 0xc0, 2, 0, 0xc8, 2, 1, 0xd0, 2, 2];
  const normalizer = [...field(1, text('identity')), 0x18, 1, 0x20, 0, 0x28, 1];
  return [
    piece('<unk>', 0, 2),
    piece('<s>', 0, 3),
    piece('</s>', 0, 3),
    piece('<mask>', 0, 4),
    ...['a', 'b', 'ab', '\xe2\x96\x81', '\xe2\x96\x81ab'].map((name, i) => piece(name, -i, 1)),
    [2, trainer],
    [3, normalizer],
  ].map(([number, bytes]) => [number, new Uint8Array(bytes)]);
}

function joinFields(fields) {
  return new Uint8Array(fields.flatMap(([number, bytes]) => field(number, bytes)));
}

export const fuzzLimits = {
  /** Of one file, in milliseconds. */
  time: 1000,
  /** What reading one file of a few KB may take beside it, in bytes: typed arrays, and everything else. */
  buffers: 64 * 2 ** 20,
  heap: 256 * 2 ** 20,
};

/** Bytes in use now. What is thrown away lowers them only later, so that growth shows what was allocated. */
function memory() {
  const { external_memory: buffers, used_heap_size: heap } = getHeapStatistics();
  return { buffers, heap };
}

/**
 * Cases [from, from + count) of a parser. @returns how many were refused
 * @param isExpected tells a HuacayaError from a fault
 * @param onCase is told the number of a case before it is opened
 * @throws Error that names the case, with the file in `bytes`
 */
export async function runCases(name, target, { createRng, seed, from = 0, count, isExpected, onCase = () => {} }) {
  let refused = 0;
  const root = createRng(seed);
  let before = memory();
  for (let i = from; i < from + count; i++) {
    onCase(i);
    const bytes = target.make(root.fork(`${name} ${i}`));
    const fault = (why, cause) =>
      Object.assign(new Error(`${name}: case ${i} of seed ${seed} (${bytes.length} bytes): ${why}`, { cause }), {
        bytes,
      });
    let took = 0;
    // Once more when it was slow: the machine may have had other work.
    for (let tries = 0; tries < 3 && (tries === 0 || took > fuzzLimits.time); tries++) {
      const start = performance.now();
      try {
        await target.open(bytes);
      } catch (error) {
        if (!isExpected(error)) throw fault(`${error?.name}: ${error?.message}`, error);
        refused += tries === 0 ? 1 : 0;
      }
      took = performance.now() - start;
    }
    if (took > fuzzLimits.time) throw fault(`took ${Math.round(took)} ms`);
    const after = memory();
    for (const what of ['buffers', 'heap']) {
      const grown = after[what] - before[what];
      if (grown > fuzzLimits[what]) throw fault(`took ${grown} bytes of ${what}`);
    }
    before = after;
  }
  return refused;
}
