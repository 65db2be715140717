// A GGUF model in several files, as llama.cpp's gguf-split cuts it: NAME-00001-of-00003.gguf; the first has all metadata.
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import { type GgufFile, openGguf } from '../formats/index.ts';
import { openWeightFile } from './openWeightFile.ts';

const partName = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/;

export interface GgufParts {
  /** All parts as one file. */
  file: GgufFile;
  paths: string[];
}

/** The parts of one model among file names: [] unless the names are those of exactly one. */
export function partsOfOne(names: readonly string[]): string[] {
  const models = new Set(names.map((name) => partName.exec(name)).map((m) => (m ? `${m[1]}/${m[3]}` : '')));
  return models.size === 1 && !models.has('') ? [...names].sort() : [];
}

/**
 * @param path a GGUF file, or any part of one.
 * @throws HuacayaError MISSING_SHARD, SHARDS_DISAGREE, and what `openGguf` throws.
 */
export async function openGgufParts(path: string): Promise<GgufParts> {
  const named = partName.exec(basename(path));
  const count = named ? Number(named[3]) : 1;
  const paths = named ? namesOf(named[1]!, named[3]!).map((name) => join(dirname(path), name)) : [path];
  const missing = paths.filter((part) => !existsSync(part));
  if (named && missing.length > 0) {
    throw new HuacayaError(
      'MISSING_SHARD',
      `${path}: ${missing.length} of ${count} parts are missing: ${missing
        .slice(0, 3)
        .map((part) => basename(part))
        .join(', ')}`,
      { hint: 'Download all parts into one folder, under their own names.' },
    );
  }
  const files: GgufFile[] = [];
  try {
    for (const part of paths) files.push(await openGguf(await openWeightFile(part)));
    for (const [i, file] of files.entries()) checkPart(file, i, files.length);
    return { file: files.length === 1 ? files[0]! : joined(files), paths };
  } catch (error) {
    await Promise.all(files.map((file) => file.close()));
    throw error;
  }
}

const namesOf = (stem: string, count: string) =>
  Array.from({ length: Number(count) }, (_, i) => `${stem}-${String(i + 1).padStart(5, '0')}-of-${count}.gguf`);

/** What a part says about itself has to be what its name says. */
function checkPart(file: GgufFile, index: number, count: number): void {
  const [no, all] = [file.metadata.get('split.no') ?? 0, file.metadata.get('split.count') ?? 1];
  // Some tools write 0 for a file that is whole.
  if (no === index && (all === count || (count === 1 && all === 0))) return;
  throw new HuacayaError('SHARDS_DISAGREE', `${file.name}: says that it is part ${Number(no) + 1} of ${all}`, {
    hint: 'The parts are found by their names, like NAME-00001-of-00003.gguf: give them those back.',
  });
}

function joined(files: readonly GgufFile[]): GgufFile {
  const [first] = files as [GgufFile];
  const owner = new Map<string, GgufFile>();
  for (const file of files) {
    for (const name of file.tensors.keys()) {
      const other = owner.get(name);
      if (!other) owner.set(name, file);
      else
        throw new HuacayaError('SHARDS_DISAGREE', `${file.name}: has the tensor ${name}, which ${other.name} has too`);
    }
  }
  return {
    ...first,
    tensors: new Map(files.flatMap((file) => [...file.tensors])),
    readFloat32: (name, from, to) => (owner.get(name) ?? first).readFloat32(name, from, to),
    async close() {
      await Promise.all(files.map((file) => file.close()));
    },
  };
}
