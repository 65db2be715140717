// A GGUF model cut into parts by llama.cpp's gguf-split opens like the whole.
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memorySource } from '../../../src/base/index.ts';
import { openGguf } from '../../../src/formats/index.ts';
import { openCheckpoint } from '../../../src/models/node.ts';
import { tinyGguf } from '../../helpers/tinyGguf.ts';
import { tinyConfigs, tinyModel } from '../../helpers/tinyModel.ts';
import { Bytes, buildGguf, type GgufParts } from '../formats/ggufBuilder.ts';
import { expectSameWeights, workFolder } from './checkpointFolders.ts';

const work = workFolder();
afterAll(() => work.remove());

const whole = tinyGguf(tinyModel(tinyConfigs.untied));
const u16 = (n: number) => (b: Bytes) => b.u32(2).u16(n);
const name = (n: number) => `tiny-0000${n}-of-00003.gguf`;

/** Part n (from 0) of three: every third tensor; the first also has the metadata of the whole. */
async function part(n: number, says = n): Promise<Uint8Array> {
  const file = await openGguf(memorySource('whole', whole));
  const tensors: NonNullable<GgufParts['tensors']> = [];
  const data = new Bytes();
  for (const [i, [key, { shape }]] of [...file.tensors].entries()) {
    if (i % 3 !== n) continue;
    tensors.push({ name: key, dims: [...shape].reverse(), type: 0, offset: data.length });
    data.raw(new Uint8Array((await file.readFloat32(key)).buffer));
  }
  const keys: GgufParts['keys'] = [
    ['split.no', u16(says)],
    ['split.count', u16(3)],
  ];
  if (n > 0) return buildGguf({ keys, tensors, data: data.done() });
  // The metadata of the whole, as it stands there.
  const start = 24;
  const end = metadataEnd(whole);
  const own = new Bytes();
  const header = buildGguf({
    keys,
    tensors,
    keyCount: keys.length + Number(new DataView(whole.buffer).getBigUint64(16, true)),
  });
  const keysEnd = 24 + keys.reduce((sum, [key]) => sum + 8 + key.length + 4 + 2, 0);
  own.raw(header.subarray(0, keysEnd)).raw(whole.subarray(start, end)).raw(header.subarray(keysEnd));
  own.raw(new Uint8Array((32 - (own.length % 32)) % 32)).raw(data.done());
  return own.done();
}

/** Where the first tensor's entry begins: behind it, its name is the first that is found. */
function metadataEnd(bytes: Uint8Array): number {
  const first = Buffer.from('token_embd.weight');
  return Buffer.from(bytes).indexOf(first) - 8;
}

let folder: string;
beforeAll(async () => {
  const files: Record<string, Uint8Array> = {};
  for (const n of [0, 1, 2]) files[name(n + 1)] = await part(n);
  folder = work.folder({ ...files, 'config.json': { model_type: 'llama' } });
  writeFileSync(join(work.root, 'whole.gguf'), whole);
});

const copy = () => {
  const to = work.folder({});
  cpSync(folder, to, { recursive: true });
  return to;
};

describe('a model in three parts', () => {
  it.each([
    ['its folder, beside a config.json of little use', () => folder],
    ['any of its parts', () => join(folder, name(2))],
  ])('opens by %s', async (_, path) => {
    const expected = await openCheckpoint(join(work.root, 'whole.gguf'));
    const model = await openCheckpoint(path());
    expect(model.config).toEqual(expected.config);
    expect(model.files.map((f) => basename(f))).toEqual([1, 2, 3].map(name));
    await expectSameWeights(model, expected);
    await Promise.all([model.weights.close(), expected.weights.close()]);
  });

  it('names the part that is missing', async () => {
    const path = copy();
    rmSync(join(path, name(3)));
    await expect(openCheckpoint(path)).rejects.toMatchObject({
      code: 'MISSING_SHARD',
      message: expect.stringContaining(`1 of 3 parts are missing: ${name(3)}`),
    });
  });

  it('refuses a part that is another by its own word, and one that has tensors twice', async () => {
    const path = copy();
    cpSync(join(path, name(2)), join(path, name(3)));
    await expect(openCheckpoint(path)).rejects.toMatchObject({
      code: 'SHARDS_DISAGREE',
      message: expect.stringContaining('says that it is part 2 of 3'),
    });
    writeFileSync(join(path, name(3)), await part(1, 2));
    await expect(openCheckpoint(path)).rejects.toMatchObject({
      code: 'SHARDS_DISAGREE',
      message: expect.stringContaining('has the tensor'),
    });
  });

  it('alone under another name says that it is a part', async () => {
    const path = join(work.folder({}), 'model.gguf');
    cpSync(join(folder, name(1)), path);
    await expect(openCheckpoint(path)).rejects.toMatchObject({
      code: 'SHARDS_DISAGREE',
      message: expect.stringContaining('part 1 of 3'),
    });
  });
});

it('a folder of several models asks for one', async () => {
  const path = work.folder({ 'a-Q4_0.gguf': whole, 'b.gguf': whole });
  await expect(openCheckpoint(path)).rejects.toMatchObject({
    code: 'MODEL_NOT_FOUND',
    message: `${path}: holds 2 .gguf files`,
    hint: 'Name one of them: a-Q4_0.gguf, b.gguf',
  });
});
