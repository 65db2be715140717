// The layout since torch 1.6: a zip of stored entries under one folder, data.pkl and one entry a storage.
// https://github.com/pytorch/pytorch/blob/main/torch/serialization.py (_save, _load)
import type { ByteSource } from '../base/index.ts';
import { readPickle } from './pickle.ts';
import { badTorch, PickleBytes, pickleLimits } from './pickleBytes.ts';
import type { PickleValue } from './pickleValues.ts';
import { quote } from './quote.ts';
import { torchWorld } from './torchCalls.ts';
import { crc32 } from './torchCrc.ts';
import type { TorchStorage } from './torchObjects.ts';
import { readZipDirectory, type ZipEntry } from './zip.ts';

export interface TorchContent {
  layout: 'zip' | 'legacy';
  /** What was saved. */
  root: PickleValue;
  /** Storage key -> its first byte in the file. Each has been checked to have all its bytes there. */
  offsets: Map<string, number>;
}

/** Only a few bytes: 'little'. */
const maxByteOrder = 16;

/** @throws HuacayaError BAD_ZIP, TRUNCATED, BAD_TORCH_FILE, UNSAFE_TORCH_FILE. */
export async function readTorchZip(source: ByteSource): Promise<TorchContent> {
  const bad = (why: string, hint?: string) => badTorch(source.name, why, hint);
  const entries = await readZipDirectory(source);
  const folder = checkNames([...entries.keys()], bad);
  for (const { name, method } of entries.values()) {
    if (method !== 0) throw bad(`its entry ${quote(name)} is compressed, which torch never does`);
  }
  // As torch does, whatever their case.
  const record = (name: string) =>
    [...entries.values()].find((entry) => entry.name.slice(folder.length + 1).toLowerCase() === name);
  if (record('constants.pkl')) {
    throw bad('is a TorchScript program, not weights', 'Get the model as .safetensors or as a plain state_dict.');
  }
  const order = record('byteorder');
  if (order && new TextDecoder().decode(await readEntry(source, order, maxByteOrder)) !== 'little') {
    throw bad('has big-endian numbers', 'Save it on a little-endian machine, or get the model as .safetensors.');
  }
  const pickle = entries.get(`${folder}/data.pkl`)!;
  const bytes = new PickleBytes(source.name, await readEntry(source, pickle, pickleLimits.bytes), true);
  const storages = new Map<string, TorchStorage>();
  const root = readPickle(bytes, torchWorld(bytes, storages, false));
  if (bytes.position !== bytes.length) throw bytes.bad('is followed by something');
  const offsets = new Map<string, number>();
  for (const { key, elements, type } of storages.values()) {
    const entry = entries.get(`${folder}/data/${key}`);
    const size = elements * type.bytes;
    // Readers that believe one of the two numbers have read beyond the other.
    if (entry?.uncompressedSize !== size) {
      throw bad(`storage ${quote(key)} should have ${size} bytes; the file has ${entry?.uncompressedSize ?? 'none'}`);
    }
    offsets.set(key, entry.dataOffset);
  }
  return { layout: 'zip', root, offsets };
}

/** One folder, one data.pkl directly in it. torch finds entries whatever their case, so equal names but for it are two. */
function checkNames(names: string[], bad: (why: string) => Error): string {
  const seen = new Set<string>();
  for (const name of names) {
    const plain = name.toLowerCase();
    if (seen.has(plain)) throw bad(`has the entry ${quote(name)} twice but for upper and lower case`);
    seen.add(plain);
  }
  const pickles = names.filter((name) => /(^|\/)data\.pkl$/i.test(name));
  const [, folder] = /^([^/]+)\/data\.pkl$/.exec(pickles[0] ?? '') ?? [];
  if (folder === undefined || pickles.length !== 1) {
    throw bad(
      pickles.length
        ? `has ${pickles.map(quote).slice(0, 3).join(', ')}, not one data.pkl in its one folder`
        : 'is a zip archive without data.pkl',
    );
  }
  const stray = names.find((name) => !name.startsWith(`${folder}/`));
  if (stray !== undefined) throw bad(`has the entry ${quote(stray)} outside its folder ${quote(folder)}`);
  return folder;
}

async function readEntry(source: ByteSource, entry: ZipEntry, most: number): Promise<Uint8Array> {
  const { name, dataOffset, uncompressedSize: size } = entry;
  if (size > most)
    throw badTorch(source.name, `its entry ${quote(name)} has ${size} bytes, the most accepted is ${most}`);
  const bytes = await source.read(dataOffset, size);
  if (crc32(bytes) !== entry.crc32) throw badTorch(source.name, `its entry ${quote(name)} does not match its checksum`);
  return bytes;
}
