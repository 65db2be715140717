// Meta's own checkpoints of 1, 2 and 8 files give the same numbers as Hugging Face's conversion of them.
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../src/models/node.ts';
import { tinyTokenizerJson } from '../../helpers/tinyTokenizer.ts';
import { expectSameWeights, fixtures, tinyPieces, truth, workFolder } from './checkpointFolders.ts';

const work = workFolder();
afterAll(() => work.remove());

const context = 'params.json: has no length of the context: took 4096 tokens';

describe('joined', () => {
  it.each([
    ['llama2-meta-1', 'llama2-hf', [context]],
    ['llama2-meta-2', 'llama2-hf', [context]],
    ['llama3-meta-8', 'llama3-hf', ['params.json: has no length of the context: took 131072 tokens']],
  ])('%s is %s', async (meta, hf, said) => {
    const model = await openCheckpoint(work.copy(meta));
    const expected = await truth(hf);
    expect(model.config).toEqual(expected.config);
    await expectSameWeights(model, expected);
    await model.weights.close();
    const vocabulary = 'params.json: vocab_size is -1: took 40, the rows of the embedding';
    expect(model.repairs).toEqual(hf === 'llama2-hf' ? [vocabulary, ...said] : said);
    expect(model.storedAs[0]).toBe(hf === 'llama2-hf' ? 'F16' : 'BF16');
    expect(model.files.map((f) => basename(f)).slice(0, 2)).toEqual(['params.json', 'consolidated.00.pth']);
  });

  it('refuses rows that are not there', async () => {
    const model = await openCheckpoint(work.copy('llama2-meta-2'));
    await expect(model.weights.read({ kind: 'embedding' }, [39, 41])).rejects.toMatchObject({ code: 'ROW_RANGE' });
    await model.weights.close();
  });
});

describe('the tokenizer', () => {
  it('is tokenizer.model, in the folder or one for all models above it', async () => {
    const inside = await openCheckpoint(work.copy('llama2-meta-1', { 'tokenizer.model': tinyPieces() }));
    const family = work.folder({ 'tokenizer.model': tinyPieces() });
    cpSync(join(fixtures, 'llama2-meta-2'), join(family, '7B'), { recursive: true });
    const above = await openCheckpoint(join(family, '7B'));
    for (const { tokenizer, weights } of [inside, above]) {
      await weights.close();
      expect(tokenizer.encode('ab', { addBos: true })).toEqual([1, 3, 4]);
      expect([tokenizer.bosId, tokenizer.eosId, tokenizer.addBos]).toEqual([1, 2, true]);
    }
    expect(above.name).toBe('7B');
  });

  it('is missed by name', async () => {
    await expect(openCheckpoint(work.copy('llama2-meta-1', {}))).rejects.toMatchObject({
      code: 'NO_TOKENIZER',
      message: expect.stringContaining('neither tokenizer.json nor tokenizer.model'),
    });
  });

  it('is tokenizer.json one level up where tokenizer.model is of Llama 3', async () => {
    const repository = work.folder({ 'tokenizer.json': tinyTokenizerJson(), 'config.json': {} });
    const path = join(repository, 'original');
    mkdirSync(path);
    cpSync(join(fixtures, 'llama2-meta-1'), path, { recursive: true });
    writeFileSync(join(path, 'tokenizer.model'), 'IQ== 0\nIg== 1\n');
    const model = await openCheckpoint(path);
    await model.weights.close();
    expect(model.name).toBe(basename(repository));
    expect(model.tokenizer.vocabSize).toBe(300);
    expect(model.repairs.join()).toContain('the tokenizer has 300 tokens, the model rows for 40');
  });
});

describe('refused', () => {
  const changed = (fixture: string, change: (path: string) => void) => {
    const path = work.copy(fixture);
    change(path);
    return openCheckpoint(path);
  };

  it('a gap in the numbers', async () => {
    const opened = changed('llama3-meta-8', (path) => rmSync(join(path, 'consolidated.03.pth')));
    await expect(opened).rejects.toMatchObject({
      code: 'MISSING_SHARD',
      message: expect.stringContaining('has no consolidated.03.pth'),
    });
  });

  it('the last files missing, which only the tensors tell', async () => {
    const opened = changed('llama3-meta-8', (path) => {
      for (const n of [5, 6, 7]) rmSync(join(path, `consolidated.0${n}.pth`));
    });
    await expect(opened).rejects.toMatchObject({
      code: 'MISSING_SHARD',
      message: expect.stringContaining('was cut for 8 files consolidated.00.pth and so on, there are 5'),
    });
  });

  it('a shard of another model', async () => {
    const opened = changed('llama2-meta-2', (path) =>
      cpSync(join(fixtures, 'llama3-meta-8/consolidated.01.pth'), join(path, 'consolidated.01.pth')),
    );
    await expect(opened).rejects.toMatchObject({
      code: 'SHARDS_DISAGREE',
      message: expect.stringMatching(/consolidated\.01\.pth: .* BF16/),
    });
  });

  it('shards of equal shapes and other numbers', async () => {
    const opened = changed('llama2-meta-2', (path) => {
      const file = join(path, 'consolidated.01.pth');
      const [mine, other] = [readFileSync(file), readFileSync(join(path, 'consolidated.00.pth'))];
      expect(mine.length).toBe(other.length);
      writeFileSync(file, withoutNorm(mine));
    });
    await expect(opened).rejects.toMatchObject({
      code: 'SHARDS_DISAGREE',
      message: expect.stringContaining('norm.weight['),
    });
  });

  it.each<[string, object, RegExp]>([
    ['no width', { dim: undefined }, /dim is undefined/],
    ['another vocabulary', { vocab_size: 41 }, /vocab_size is 41, but the embedding has 40 rows/],
    ['experts', { moe: { num_experts: 8 } }, /moe is not supported/],
  ])('params.json with %s', async (_, changes, message) => {
    const opened = changed('llama2-meta-1', (path) => {
      const file = join(path, 'params.json');
      writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...changes }));
    });
    await expect(opened).rejects.toMatchObject({ code: 'BAD_MODEL_CONFIG', message: expect.stringMatching(message) });
  });

  it('no params.json at all', async () => {
    const opened = changed('llama2-meta-1', (path) => renameSync(join(path, 'params.json'), join(path, 'p.json')));
    await expect(opened).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      message: expect.stringContaining('params.json'),
    });
  });

  it('more layers than there are', async () => {
    const opened = changed('llama2-meta-1', (path) => {
      const file = join(path, 'params.json');
      writeFileSync(file, readFileSync(file, 'utf8').replace('"n_layers": 2', '"n_layers": 3'));
    });
    await expect(opened).rejects.toMatchObject({
      code: 'MISSING_TENSOR',
      message: expect.stringContaining('has no tensor layers.2.attention_norm.weight'),
    });
  });
});

/** The norm's numbers of a shard turned round: found by the bytes that the truth has. */
function withoutNorm(shard: Buffer): Buffer {
  const header = readFileSync(join(fixtures, 'llama2-hf/model.safetensors'));
  const length = Number(header.readBigUInt64LE(0));
  const [from, to] = JSON.parse(header.toString('utf8', 8, 8 + length))['model.norm.weight'].data_offsets as [
    number,
    number,
  ];
  const norm = header.subarray(8 + length + from, 8 + length + to);
  const at = shard.indexOf(norm);
  expect(at).toBeGreaterThan(0);
  const copy = Buffer.from(shard);
  copy.fill(0, at, at + norm.length);
  return copy;
}
