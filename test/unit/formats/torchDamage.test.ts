// PyTorch files whose parts contradict one another, lie about sizes or pretend to be something else.
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../../src/base/index.ts';
import { pickleLimits } from '../../../src/formats/pickleBytes.ts';
import { openTorchFile } from '../../../src/formats/torchFile.ts';
import { expectError } from './helpers.ts';
import {
  besideTensor,
  call,
  entry,
  type Files,
  fourFloats,
  global,
  int,
  join,
  machine,
  magic,
  type Part,
  pickle,
  rebuild,
  storage,
  str,
  tensor,
  torchLegacy,
  torchZip,
  tuple,
  u32,
  u64,
} from './torchBuilder.ts';
import { buildZip } from './zipBuilder.ts';

const open = (bytes: Uint8Array) => openTorchFile(memorySource('x.bin', bytes));
const refused = (bytes: Uint8Array, message: RegExp, code = 'BAD_TORCH_FILE') =>
  expectError(() => open(bytes), code, message);
const good = pickle(besideTensor('N'));
const long = (value: string) => join([0x8a, value.length], value);
const lastSize = (n: number) => tuple(int(n));

describe('pickles', () => {
  const cases: [string, Part, RegExp][] = [
    ['nothing', '', /takes a value from an empty stack/],
    ['values left over', 'NN', /stops with values left over/],
    ['a mark left over', '(', /takes a value from an empty stack/],
    ['a container that was not begun', 'Nt', /ends a container that was not begun/],
    ['a value from below a mark', 'N(\x85', /takes a value from an empty stack/],
    ['an index of 2^32', join('Nr', u32(0xffffffff)), /remembers value 4294967295 out of turn/],
    ['an index taken twice', 'Nq\x00q\x00', /remembers value 0 out of turn/],
    ['an index that is not there', 'h\x07', /recalls value 7, which was not remembered/],
    ['a dict that is a list', '}Na', /appends to a dict/],
    ['a list that is a dict', ']NNs', /sets items of a list/],
    ['a key without a value', '}(Nu', /sets a key without a value/],
    ['a key that is a list', '}]Ns', /has a list for a key/],
    ['a key that is a tensor', join('}', tensor(), 'Ns'), /has a tensor for a key/],
    ['the same key twice', join('}(', str('k'), 'N', str('k'), 'Nu'), /sets a key twice \("k"\)/],
    ['text that is not UTF-8', join([0x8c, 2, 0xc3, 0x28]), /text that is not UTF-8/],
    ['half a surrogate pair', join([0x8c, 3, 0xed, 0xa0, 0x80]), /text that is not UTF-8/],
    ['a string of 4 GiB', join('X', u32(0xffffffff)), /string of 4294967295 bytes, the most accepted is 16777216/],
    ['bytes of 4 GiB', join('B', u32(0xffffffff)), /string of 4294967295 bytes/],
    ['a number of 255 bytes', long('\x01'.repeat(255)), /has a number of 255 bytes/],
    ['a string beyond the end', join('X', u32(1000)), /ends before its STOP/],
    ['a long name', join('c', 'a'.repeat(300), '\nb\n'), /name of over 256 bytes/],
    ['a name without an end', 'ctorch', /ends before its STOP/],
    ['a call with no tuple', join(global('torch', 'Size'), 'NR'), /calls torch\.Size with a None/],
    [
      'a size of strings',
      call(global('torch', 'Size'), tuple(str('4'))),
      /has a size that is no tuple of whole numbers/,
    ],
    [
      'an OrderedDict of numbers',
      call(global('collections', 'OrderedDict'), int(1)),
      /OrderedDict of something else than pairs/,
    ],
    [
      'an OrderedDict of triples',
      call(global('collections', 'OrderedDict'), '](NNNta'),
      /OrderedDict of something else than pairs/,
    ],
    [
      'a parameter of nothing',
      call(global('torch._utils', '_rebuild_parameter'), 'N', [0x89], 'N'),
      /_rebuild_parameter on a None/,
    ],
    ['too few arguments', call(rebuild, storage()), /calls torch\._utils\._rebuild_tensor_v2 with 1 arguments/],
    ['too deep a nest', '('.repeat(300), /nested deeper than 200 levels/],
    ['no dict', ']', /holds a list, not tensors by name|for no tensor/],
    ['a tensor alone', tensor(), /holds a tensor, not tensors by name/],
    [
      'two dicts of tensors',
      join('}(', str('a'), '}', str('w'), tensor(), 's', str('b'), '}', str('w'), tensor(), 'su'),
      /tensors in "a", "b"; which are the model/,
    ],
  ];
  it.each(cases)('refuses %s', async (_, value, message) => {
    await refused(torchZip(pickle(value)), message);
    await refused(torchLegacy(pickle(value)), /ends before its STOP/.test(message.source) ? /./ : message);
  });

  it('refuses more than a checkpoint needs, before it costs memory', async () => {
    await refused(torchZip(pickle('}'.repeat(pickleLimits.stack + 2))), /piles up more than 262144 values/);
    await refused(torchZip(pickle(`]${')a'.repeat(pickleLimits.nodes)}`)), /has more than 1048576 objects/);
    await refused(torchZip(pickle(`]${'(e'.repeat(pickleLimits.opcodes / 2)}`)), /has more than 4194304 opcodes/);
    const half = await open(torchZip(pickle(join('}(', str('big'), long(`${'\xff'.repeat(63)}\x00`), 'u'))));
    expect(half.metadata.get('big')).toBe(2n ** 504n - 1n);
  });

  it('does little for bytes that ask for the same work again and again', async () => {
    const many = (count: number, part: Part) => join(...Array<Part>(count).fill(part));
    // A list of 2,000 pairs, of which 2,000 dicts are to be made.
    const pairs = join(']q\x00(', ...Array.from({ length: 2000 }, (_, i) => join(int(i), 'N', [0x86])), 'e');
    const dicts = join('(', pairs, many(2000, join(global('collections', 'OrderedDict'), 'h\x00', [0x85], 'R')), 't');
    await refused(torchZip(pickle(dicts)), /has more than 1048576 objects/);
    // A tuple of 50,000 numbers as the shape of 50,000 tensors.
    const shape = join('(', many(50_000, 'K\x01'), 'tq\x00');
    await refused(torchZip(pickle(tensor({ size: shape }))), /no whole numbers/);
    // A dict of 20,000 keys under 20,000 keys.
    const dict = join('}q\x00(', ...Array.from({ length: 20_000 }, (_, i) => join(int(i), 'N')), 'u');
    const root = join('}(', str('k'), dict, ...Array.from({ length: 20_000 }, (_, i) => join(int(i), 'h\x00')), 'u');
    expect((await open(torchZip(pickle(root)))).tensors.size).toBe(0);
  });

  it('holds frames to what they announce', async () => {
    const body = join(besideTensor('N'), '.');
    const framed = (length: number, rest: Part = '') => torchZip(join([0x80, 4, 0x95], u64(length), body, rest));
    expect((await open(framed(body.length))).tensors.size).toBe(1);
    await refused(framed(body.length + 1), /has a frame beyond its end/);
    await refused(framed(body.length + 1, 'N'), /ends 1 bytes before its frame/);
    await refused(framed(4), /goes beyond its frame/);
    await refused(framed(2 ** 52), /has a frame beyond its end/);
    await refused(torchZip(join([0x80, 4, 0x95], u64(30), [0x95], u64(4), body)), /frame within a frame/);
    await refused(torchLegacy(join([0x80, 4, 0x95], u64(2 ** 52), body)), /has a frame beyond its end/);
  });

  it('joins the tensors of a nested file, whatever else is nested', async () => {
    const ema = join(str('ema'), '}', str('w'), tensor(), 's');
    const file = await open(torchZip(pickle(join('}(', ema, str('model'), '}', str('v'), tensor(), 's', 'u'))));
    expect([file.nestedIn, [...file.tensors.keys()]]).toEqual(['model', ['v']]);
    expect(file.metadata.get('ema')).toEqual({ kind: 'dict', size: 1 });
  });
});

describe('tensors and storages', () => {
  const none = '}';
  const cases: [string, Part, RegExp][] = [
    ['beyond its storage', tensor({ size: lastSize(5) }), /shape \[5\], strides \[1\] at 0 in a storage of 4 elements/],
    ['beyond it by the offset', tensor({ offset: int(1) }), /at 1 in a storage of 4/],
    ['before it', tensor({ offset: int(-1) }), /no whole numbers/],
    ['backwards', tensor({ stride: tuple(int(-1)) }), /no whole numbers/],
    ['with a size of true', tensor({ size: tuple([0x88]) }), /no whole numbers/],
    ['with a size of 1.5', tensor({ size: tuple(join('G', [0x3f, 0xf8, 0, 0, 0, 0, 0, 0])) }), /no whole numbers/],
    ['with fewer strides than sizes', tensor({ stride: tuple() }), /no whole numbers/],
    [
      'of 65 dimensions',
      tensor({ size: tuple(...Array(65).fill(int(1))), stride: tuple(...Array(65).fill(int(1))) }),
      /no whole numbers/,
    ],
    ['blown up by a stride of 0', tensor({ size: tuple(int(2 ** 30)), stride: tuple(int(0)) }), /strides \[0\]/],
    [
      'blown up beyond what can be counted',
      tensor({ size: tuple(int(2 ** 30), int(2 ** 30)), stride: tuple(int(0), int(0)) }),
      /strides \[0,0\]/,
    ],
    [
      'with strides of 2^62',
      tensor({ size: tuple(int(2)), stride: tuple(long('\0\0\0\0\0\0\0\x40')) }),
      /no whole numbers/,
    ],
    ['over no storage', tensor({ storage: 'N' }), /has a tensor over a None/],
    ['with a negative bit', tensor({ more: [join('}', str('neg'), [0x88], 's')] }), /lazy conjugate or negative/],
    [
      'of an unknown type',
      call(
        global('torch._utils', '_rebuild_tensor_v3'),
        storage(),
        int(0),
        tuple(),
        tuple(),
        [0x89],
        none,
        global('torch', 'Size'),
      ),
      /has a tensor of type torch\.Size/,
    ],
    [
      'of a storage that is no type',
      join('}', str('w'), tuple(str('storage'), global('torch', 'Size'), str('0'), str('cpu'), int(4)), 'Qs'),
      /storage of type torch\.Size/,
    ],
    ['of a storage with a path for a key', storage('../../etc/passwd'), /storage named "\.\.\/\.\.\/etc/],
    [
      'of a storage that was nowhere',
      join(tuple(str('storage'), global('torch', 'FloatStorage'), str('0'), 'N', int(4)), 'Q'),
      /has a storage on a None/,
    ],
    ['of a storage of size -1', storage('0', -1), /has a storage of number size/],
    [
      'of a storage of two sizes',
      join('(', storage('0', 4), storage('0', 3), 't'),
      /describes storage "0" in two ways/,
    ],
    [
      'of a storage of two types',
      join('(', storage('0', 4), storage('0', 4, 'IntStorage'), 't'),
      /describes storage "0" in two ways/,
    ],
  ];
  it.each(cases)('refuses one %s', async (_, value, message) => {
    await refused(torchZip(pickle(join('}', str('x'), value, 's'))), message);
    await refused(torchLegacy(pickle(join('}', str('x'), value, 's'))), message);
  });

  it('refuses storages that the file has not, or not as described', async () => {
    const of = (bytes: number) => torchZip(good, [], new Uint8Array(bytes));
    await refused(of(12), /storage "0" should have 16 bytes; the file has 12/);
    await refused(of(17), /should have 16 bytes; the file has 17/);
    await refused(
      torchZip(pickle(join('}', str('w'), tensor({ storage: storage('7') }), 's'))),
      /storage "7" should have 16 bytes; the file has none/,
    );
    await refused(torchLegacy(good, { 5: join(u64(3), fourFloats) }), /should have 4 elements of F32; the file has 3/);
    await refused(torchLegacy(good, { 5: join(u64(2n ** 63n), fourFloats) }), /the file has -9223372036854775808/);
    await refused(torchLegacy(good, { 5: join(u64(4), fourFloats.subarray(1)) }), /ends at byte \d+, the file at \d+/);
    await refused(torchLegacy(good, { 5: join(u64(4), fourFloats, 'x') }), /has 1 bytes beyond its last storage/);
    await refused(torchLegacy(good, { 4: pickle(']') }), /does not store "0"/);
    await refused(torchLegacy(good, { 4: pickle(join('](', str('0'), str('0'), 'e')) }), /stores "0" twice/);
    await refused(torchLegacy(good, { 4: pickle(join(']', str('9'), 'a')) }), /stores "9" for no tensor/);
    await refused(torchLegacy(good, { 4: pickle('N') }), /has a None for the names of its storages/);
  });

  it('refuses views beyond their storage, in the layout that has them', async () => {
    const view = (...items: Part[]) =>
      pickle(
        join(
          '}',
          str('w'),
          tensor({ storage: storage('0', 4, 'FloatStorage', tuple(...items)), size: lastSize(2) }),
          's',
        ),
      );
    const file = await open(torchLegacy(view(str('1'), int(2), int(2))));
    expect(await file.readFloat32('w')).toEqual(new Float32Array([3, 4]));
    await refused(torchLegacy(view(str('1'), int(3), int(2))), /view beyond storage "0"/);
    await refused(torchLegacy(view(str('1'), int(2), int(1))), /in a storage of 1 elements/);
    await refused(torchLegacy(view(str('1'), int(-1), int(2))), /view beyond storage "0"/);
    await refused(torchZip(view(str('1'), int(2), int(2))), /not for a storage/, 'UNSAFE_TORCH_FILE');
  });

  it('says what it cannot read only when it is asked to', async () => {
    const complex = join(
      '}',
      str('c'),
      tensor({ storage: storage('0', 2, 'ComplexFloatStorage'), size: lastSize(2) }),
      's',
    );
    const file = await open(torchZip(pickle(complex)));
    expect(file.tensors.get('c')?.dtype).toBe('C64');
    await expectError(() => file.readFloat32('c'), 'UNSUPPORTED_DTYPE', /"c" has type C64/);
    expect(file.byteLength('c')).toBe(16);
  });
});

describe('archives', () => {
  const zip = (files: Files) => buildZip({ files });
  const data = entry('a/data.pkl', good);
  const rest = [entry('a/data/0', fourFloats)];
  const cases: [string, Uint8Array, RegExp, string?][] = [
    ['without a pickle', zip([entry('a/weights', 'x')]), /a zip archive without data\.pkl/],
    [
      'with the pickle at the top',
      zip([entry('data.pkl', good), ...rest]),
      /has "data\.pkl", not one data\.pkl in its one folder/,
    ],
    ['with the pickle further down', zip([entry('a/b/data.pkl', good), ...rest]), /has "a\/b\/data\.pkl", not one/],
    ['with two roots', zip([data, ...rest, entry('b/data.pkl', good)]), /has "a\/data\.pkl", "b\/data\.pkl", not one/],
    ['with two of one name', zip([data, data, ...rest]), /has the entry "a\/data\.pkl" twice/, 'BAD_ZIP'],
    [
      'with two but for their case',
      zip([data, ...rest, entry('a/Data.pkl', good)]),
      /"a\/Data\.pkl" twice but for upper and lower case/,
    ],
    ['with a pickle of another case', zip([entry('a/DATA.PKL', good), ...rest]), /has "a\/DATA\.PKL", not one/],
    [
      'with something outside',
      zip([data, ...rest, entry('evil.pkl', good)]),
      /entry "evil\.pkl" outside its folder "a"/,
    ],
    ['with a way out', zip([data, ...rest, entry('a/../b', 'x')]), /could lead out of a folder/, 'BAD_ZIP'],
    [
      'with compressed data',
      zip([data, entry('a/data/0', fourFloats, { both: { method: 8 } })]),
      /"a\/data\/0" is compressed/,
    ],
    [
      'with a compressed pickle',
      zip([entry('a/data.pkl', good, { both: { method: 8 } }), ...rest]),
      /"a\/data\.pkl" is compressed/,
    ],
    [
      'with LZMA',
      zip([entry('a/data.pkl', good, { both: { method: 14 } }), ...rest]),
      /compression method 14/,
      'BAD_ZIP',
    ],
    [
      'with a wrong checksum',
      zip([entry('a/data.pkl', good, { both: { crc: 7 } }), ...rest]),
      /"a\/data\.pkl" does not match its checksum/,
    ],
    [
      'with two checksums',
      zip([entry('a/data.pkl', good, { local: { crc: 7 } }), ...rest]),
      /disagree on its crc32/,
      'BAD_ZIP',
    ],
    [
      'with an encryption bit',
      zip([entry('a/data.pkl', good, { both: { flags: 1 } }), ...rest]),
      /is encrypted/,
      'BAD_ZIP',
    ],
    [
      'with an encryption bit in one place',
      zip([entry('a/data.pkl', good, { local: { flags: 1 } }), ...rest]),
      /disagree on its flags/,
      'BAD_ZIP',
    ],
    [
      'with another name in the header',
      zip([entry('a/data.pkl', good, { local: { name: 'a/data.pkx' } }), ...rest]),
      /disagree on its name/,
      'BAD_ZIP',
    ],
    ['of a big-endian machine', zip([data, ...rest, entry('a/byteorder', 'big')]), /has big-endian numbers/],
    ['of one, told in capitals', zip([data, ...rest, entry('a/ByteOrder', 'big')]), /has big-endian numbers/],
    [
      'with a long byte order',
      zip([data, ...rest, entry('a/byteorder', 'little'.repeat(9))]),
      /has 54 bytes, the most accepted is 16/,
    ],
    ['of a program', zip([data, ...rest, entry('a/constants.pkl', good)]), /TorchScript program/],
  ];
  it.each(cases)('refuses one %s', async (_, bytes, message, code) => {
    await refused(bytes, message, code);
  });

  it('reads one whose other entries hold pickles, which stay unread', async () => {
    const file = await open(zip([entry('a/extra/payload.pkl', 'cos\nsystem\n(tR.'), data, ...rest]));
    expect(file.tensors.size).toBe(1);
  });

  it('refuses what is two things at once', async () => {
    const [archive, legacy] = [torchZip(good), torchLegacy(good)];
    await refused(join(legacy, archive), /bytes beyond its last storage/);
    await refused(join(archive, legacy), /no end record of a zip archive/, 'BAD_ZIP');
    await refused(join('PK', archive), /BAD|no header|directory ends at byte/, 'BAD_ZIP');
    await refused(join(good, archive), /is a pickle, but no PyTorch checkpoint/);
  });

  it.each<[string, Part, RegExp]>([
    ['7z', [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c], /packed file/],
    ['gzip', [0x1f, 0x8b, 8], /packed file/],
    ['bzip2', 'BZh9', /packed file/],
    ['zstd', [0x28, 0xb5, 0x2f, 0xfd], /packed file/],
    ['Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n', /Git LFS pointer/],
    ['web page', '<!doctype html><html>', /a web page/],
    ['tar', join('pickle', new Uint8Array(251), 'ustar'), /tar layout of torch 0\.1/],
    ['text', 'import os', /neither a zip archive nor a pickle/],
    ['nothing', '', /neither a zip archive nor a pickle/],
  ])('names a %s', async (_, bytes, message) => {
    await refused(join(bytes), message);
  });

  it('checks the first pickles of the old layout', async () => {
    await refused(torchLegacy(good, { 0: pickle(int(5)) }), /is a pickle, but no PyTorch checkpoint/);
    await refused(torchLegacy(good, { 1: pickle(int(1000)) }), /has a protocol other than 1001/);
    await refused(torchLegacy(good, { 2: pickle('N') }), /has a None for the machine that wrote it/);
    await refused(
      torchLegacy(good, { 2: pickle(join('}', str('little_endian'), [0x89], 's')) }),
      /has big-endian numbers/,
    );
    await refused(torchLegacy(good, { 2: pickle('}') }), /has big-endian numbers/);
    await refused(join(magic, machine), /has a protocol other than 1001/);
  });

  it('fetches more of a long description piece by piece', async () => {
    const padding = join('X', u32(700_000), 'x'.repeat(700_000));
    const file = await open(torchLegacy(pickle(besideTensor(padding))));
    expect(await file.readFloat32('w')).toEqual(new Float32Array([1, 2, 3, 4]));
  });
});
