// Opens a PyTorch checkpoint (.bin, .pth, .pt) without running anything that is in it: names are looked up in a list
// (`torchNames.ts`), calls are done on descriptions (`torchCalls.ts`), data is read when it is asked for.
import type { ByteSource } from '../base/index.ts';
import { badTorch } from './pickleBytes.ts';
import type { RawTensorFile } from './tensorFile.ts';
import { readTorchLegacy } from './torchLegacy.ts';
import { placeTensor, torchReaders } from './torchReaders.ts';
import { pickTensors, type TorchExtra } from './torchTensors.ts';
import { readTorchZip, type TorchContent } from './torchZip.ts';

export interface TorchFile extends RawTensorFile {
  /** 'zip' since torch 1.6, 'legacy' before. */
  readonly layout: 'zip' | 'legacy';
  /** The key under which the tensors were found ('state_dict', 'model', ...); undefined when they are at the top. */
  readonly nestedIn: string | undefined;
  /** Everything that is no tensor, by key; not looked into. Of a nested file also what lies beside the tensors' dict. */
  readonly metadata: ReadonlyMap<string, TorchExtra>;
}

/**
 * Reads what describes the tensors, not their data. Names are left as they are (`module.` and all); tied tensors are
 * read from the bytes they share. An empty state_dict gives a file without tensors. The checksum of the description is
 * checked, those of the data are not: they are read by rows.
 * Takes `source` over: closing the file, or failing to open it, closes the source.
 * @throws HuacayaError TRUNCATED, BAD_ZIP, BAD_TORCH_FILE (damage, or a kind of file that is not read),
 *   UNSAFE_TORCH_FILE (asks for something that no weights need; its name is in the message).
 */
export async function openTorchFile(source: ByteSource): Promise<TorchFile> {
  try {
    const content = await readContent(source);
    const { tensors, extras, nestedIn } = pickTensors(source.name, content.root);
    const placed = new Map([...tensors].map(([name, tensor]) => [name, placeTensor(name, tensor, content.offsets)]));
    return {
      name: source.name,
      tensors: new Map([...placed].map(([name, { info }]) => [name, info])),
      metadata: extras,
      nestedIn,
      layout: content.layout,
      ...torchReaders(source, placed),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function readContent(source: ByteSource): Promise<TorchContent> {
  const lead = await source.read(0, Math.min(source.size, 512));
  const begins = (...bytes: number[]) => bytes.every((byte, i) => lead[i] === byte);
  if (begins(0x50, 0x4b)) return readTorchZip(source);
  if (begins(0x80)) return readTorchLegacy(source);
  const text = String.fromCharCode(...lead);
  const hint = 'Get the model as .safetensors, or save its state_dict with a torch of this decade.';
  if (text.slice(257, 262) === 'ustar') throw badTorch(source.name, 'has the tar layout of torch 0.1', hint);
  if (text.startsWith('version https://git-lfs')) {
    throw badTorch(source.name, 'is a Git LFS pointer, not the file itself', 'Download the model with huacaya pull.');
  }
  if (/^\s*<(!doctype|html)/i.test(text)) throw badTorch(source.name, 'is a web page, not a file of weights');
  const packers = [
    begins(0x37, 0x7a, 0xbc, 0xaf),
    begins(0x1f, 0x8b),
    text.startsWith('BZh'),
    begins(0x28, 0xb5, 0x2f, 0xfd),
  ];
  if (packers.includes(true))
    throw badTorch(source.name, 'is a packed file (7z, gzip, bzip2, zstd)', 'Unpack it first.');
  throw badTorch(source.name, 'is no PyTorch checkpoint: it begins with neither a zip archive nor a pickle');
}
