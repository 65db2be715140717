// Opens a GGUF file: header parsed, every tensor's place checked; data is read and dequantised when asked for.
import { type ByteSource, HuacayaError } from '../base/index.ts';
import { badGguf, parseGrowing } from './ggufCursor.ts';
import { type GgufHeader, type GgufTensorEntry, readGgufHeader } from './ggufHeader.ts';
import { ggufLimits } from './ggufLimits.ts';
import { ggmlTypes, ggufCodecs } from './ggufTypes.ts';
import type { GgufValue } from './ggufValue.ts';
import { quote } from './quote.ts';
import { checkedProduct } from './shape.ts';
import { floatReader, type StoredTensor } from './storedTensors.ts';
import type { TensorFile } from './tensorFile.ts';

export interface GgufFile extends TensorFile {
  /** 2 or 3. */
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
}

/**
 * Reads the header only. Takes `source` over: closing the file, or failing to open it, closes the source.
 * @throws HuacayaError TRUNCATED, BAD_GGUF, UNSUPPORTED_DTYPE (a tensor's type has no known size).
 */
export async function openGguf(source: ByteSource): Promise<GgufFile> {
  try {
    const header = await parseGrowing(source, readGgufHeader);
    const tensors = layOut(header, source);
    return {
      name: source.name,
      version: header.version,
      tensors: new Map([...tensors].map(([name, { info }]) => [name, info])),
      metadata: header.metadata,
      readFloat32: floatReader(source, tensors, ggufCodecs),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

function alignmentOf({ metadata }: GgufHeader, file: string): number {
  const value = metadata.get('general.alignment') ?? 32;
  const inRange = typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= ggufLimits.alignment;
  if (!inRange || (value & (value - 1)) !== 0) {
    throw badGguf(file, `general.alignment is ${value}, not a power of two up to ${ggufLimits.alignment}`);
  }
  return value;
}

/** Turns offsets into places in the file; none may leave the file or share bytes with another. */
function layOut(header: GgufHeader, source: ByteSource): Map<string, StoredTensor> {
  const alignment = alignmentOf(header, source.name);
  const dataStart = Math.ceil(header.end / alignment) * alignment;
  const dataBytes = Math.max(0, source.size - dataStart);
  const tensors = new Map<string, StoredTensor>();
  const spans: { name: string; start: number; end: number }[] = [];
  for (const entry of header.tensors) {
    const { name, shape, offset } = entry;
    const { type, bytes } = sizeOf(entry, source.name);
    if (tensors.has(name)) throw badGguf(source.name, `has the tensor ${quote(name)} twice`);
    if (offset % alignment !== 0) {
      throw badGguf(source.name, `tensor ${quote(name)} has the offset ${offset}, not a multiple of ${alignment}`);
    }
    if (offset + bytes > dataBytes) {
      throw new HuacayaError(
        'TRUNCATED',
        `${source.name}: tensor ${quote(name)} ends at byte ${offset + bytes} of the data, but there are ${dataBytes}`,
        { hint: 'The file is cut short: download or copy it again.' },
      );
    }
    tensors.set(name, { info: { name, dtype: type.name, shape }, offset: dataStart + offset });
    spans.push({ name, start: offset, end: offset + bytes });
  }
  spans.sort((a, b) => a.start - b.start || a.end - b.end);
  for (let i = 1; i < spans.length; i++) {
    if (spans[i].start >= spans[i - 1].end) continue;
    throw badGguf(source.name, `tensors ${quote(spans[i - 1].name)} and ${quote(spans[i].name)} overlap`);
  }
  return tensors;
}

function sizeOf({ name, shape, typeId }: GgufTensorEntry, file: string) {
  const type = ggmlTypes.get(typeId);
  if (!type) {
    throw new HuacayaError('UNSUPPORTED_DTYPE', `${file}: tensor ${quote(name)} has the unknown ggml type ${typeId}`, {
      hint: `Types that can be read: ${[...ggufCodecs.keys()].join(', ')}.`,
    });
  }
  // Blocks run along the innermost dimension and never cross rows.
  const innermost = shape.at(-1) ?? 1;
  if (innermost % type.blockSize !== 0) {
    throw badGguf(
      file,
      `tensor ${quote(name)} has rows of ${innermost} elements, not a multiple of the ${type.blockSize} of ${type.name}`,
    );
  }
  const elements = checkedProduct(shape);
  const bytes = elements === undefined ? undefined : checkedProduct([elements / type.blockSize, type.blockBytes]);
  if (bytes === undefined) throw badGguf(file, `tensor ${quote(name)} has the shape [${shape}], too large to exist`);
  return { type, bytes };
}
