// The layout before torch 1.6: five pickles in a row (magic number, protocol, machine, object, storage keys), then each
// storage as a count and its elements. https://github.com/pytorch/pytorch/blob/main/torch/serialization.py (_legacy_load)
import type { ByteSource } from '../base/index.ts';
import { readPickle } from './pickle.ts';
import { badTorch, NeedMorePickle, PickleBytes, pickleLimits } from './pickleBytes.ts';
import { kindOf, PickleDict, PickleList, type PickleValue } from './pickleValues.ts';
import { quote } from './quote.ts';
import { torchWorld } from './torchCalls.ts';
import type { TorchStorage } from './torchObjects.ts';
import type { TorchContent } from './torchZip.ts';

const magicNumber = 0x1950a86a20f9469cfc6cn;
const protocolVersion = 1001;
const firstBytes = 1 << 18;

interface Pickles {
  root: PickleValue;
  storages: Map<string, TorchStorage>;
  /** In the order of the file. */
  keys: string[];
  /** Where the storages begin. */
  end: number;
}

/** @throws HuacayaError TRUNCATED, BAD_TORCH_FILE, UNSAFE_TORCH_FILE. */
export async function readTorchLegacy(source: ByteSource): Promise<TorchContent> {
  const { root, storages, keys, end } = await readPickles(source);
  const bad = (why: string) => badTorch(source.name, why);
  const offsets = new Map<string, number>();
  let at = end;
  for (const key of keys) {
    const storage = storages.get(key);
    if (!storage || offsets.has(key)) throw bad(`stores ${quote(key)} ${storage ? 'twice' : 'for no tensor'}`);
    const lead = await source.read(at, 8);
    const found = new DataView(lead.buffer, lead.byteOffset, 8).getBigInt64(0, true);
    if (found !== BigInt(storage.elements)) {
      throw bad(
        `storage ${quote(key)} should have ${storage.elements} elements of ${storage.type.dtype}; the file has ${found}`,
      );
    }
    offsets.set(key, at + 8);
    at += 8 + storage.elements * storage.type.bytes;
    if (at > source.size) {
      throw badTorch(
        source.name,
        `storage ${quote(key)} ends at byte ${at}, the file at ${source.size}`,
        'The file is cut short: download or copy it again.',
      );
    }
  }
  const missing = [...storages.keys()].find((key) => !offsets.has(key));
  if (missing !== undefined) throw bad(`does not store ${quote(missing)}`);
  if (at !== source.size) throw bad(`has ${source.size - at} bytes beyond its last storage`);
  return { layout: 'legacy', root, offsets };
}

/** Nothing says how long the pickles are, so as many bytes are fetched as they turn out to need. */
async function readPickles(source: ByteSource): Promise<Pickles> {
  const most = Math.min(source.size, pickleLimits.bytes);
  for (let length = Math.min(most, firstBytes); ; length = Math.min(most, length * 4)) {
    const bytes = new PickleBytes(source.name, await source.read(0, length), length === source.size);
    try {
      return parsePickles(bytes);
    } catch (error) {
      if (!(error instanceof NeedMorePickle)) throw error;
      if (length === most) throw badTorch(source.name, `its pickles go on beyond ${most} bytes, the most that is read`);
    }
  }
}

function parsePickles(bytes: PickleBytes): Pickles {
  const storages = new Map<string, TorchStorage>();
  const nothing = new Map<string, TorchStorage>();
  const plain = torchWorld(bytes, nothing, true);
  const bad = (why: string) => badTorch(bytes.file, why);
  if (readPickle(bytes, plain) !== magicNumber) throw bad('is a pickle, but no PyTorch checkpoint');
  if (readPickle(bytes, plain) !== protocolVersion) throw bad(`has a protocol other than ${protocolVersion}`);
  const machine = readPickle(bytes, plain);
  if (!(machine instanceof PickleDict)) throw bad(`has a ${kindOf(machine)} for the machine that wrote it`);
  if (machine.entries.get('little_endian') !== true) throw bad('has big-endian numbers');
  const root = readPickle(bytes, torchWorld(bytes, storages, true));
  const list = readPickle(bytes, plain);
  const keys = list instanceof PickleList ? list.items : [null];
  if (!keys.every((key) => typeof key === 'string')) throw bad(`has a ${kindOf(list)} for the names of its storages`);
  if (nothing.size) throw bad('has storages where none belong');
  return { root, storages, keys, end: bytes.position };
}
