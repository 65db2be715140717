import { describe, expect, it } from 'vitest';
import { encodeSafetensors, openShardedSafetensors } from '../../../src/formats/index.ts';
import { expectError, spySource } from './helpers.ts';

const shard = (values: Record<string, number[]>) =>
  encodeSafetensors(
    Object.entries(values).map(([name, data]) => ({
      name,
      dtype: 'F32' as const,
      shape: [data.length / 2, 2],
      data: Float32Array.from(data),
    })),
  );

const files: Record<string, Uint8Array> = {
  'model-1.safetensors': shard({ a: [1, 2, 3, 4], unlisted: [0, 0] }),
  'model-2.safetensors': shard({ b: [5, 6] }),
};

function opener(contents = files) {
  const spies: { fileName: string; spy: { closed: number } }[] = [];
  const openShard = async (fileName: string) => {
    const { source, spy } = spySource(contents[fileName], fileName);
    spies.push({ fileName, spy });
    return source;
  };
  return { openShard, spies, stillOpen: () => spies.filter(({ spy }) => !spy.closed).map(({ fileName }) => fileName) };
}

const index = (weightMap: Record<string, unknown>) =>
  JSON.stringify({ metadata: { total_size: 24 }, weight_map: weightMap });

describe('sharded safetensors', () => {
  it('knows every tensor at once and holds only the shards that were read', async () => {
    const { openShard, stillOpen, spies } = opener();
    const opened = await openShardedSafetensors(
      index({ b: 'model-2.safetensors', a: 'model-1.safetensors' }),
      openShard,
    );
    expect([...opened.tensors.values()]).toEqual([
      { name: 'b', dtype: 'F32', shape: [1, 2] },
      { name: 'a', dtype: 'F32', shape: [2, 2] },
    ]);
    expect(opened.metadata.get('total_size')).toBe(24);
    expect(stillOpen()).toEqual([]);
    const [second, whole] = await Promise.all([opened.readFloat32('a', 1), opened.readFloat32('a')]);
    expect([...second]).toEqual([3, 4]);
    expect([...whole]).toEqual([1, 2, 3, 4]);
    expect(stillOpen()).toEqual(['model-1.safetensors']);
    expect([...(await opened.readFloat32('b'))]).toEqual([5, 6]);
    expect(spies.length).toBe(4);
    await opened.close();
    expect(stillOpen()).toEqual([]);
  });

  it('offers only what the index names', async () => {
    const opened = await openShardedSafetensors(index({ a: 'model-1.safetensors' }), opener().openShard);
    await expectError(() => opened.readFloat32('unlisted'), 'TENSOR_NOT_FOUND', /no tensor "unlisted" among 1/);
  });

  it('says which tensor is missing from which shard', async () => {
    const { openShard, stillOpen } = opener();
    const work = () => openShardedSafetensors(index({ gone: 'model-2.safetensors' }), openShard);
    await expectError(work, 'TENSOR_NOT_FOUND', /"gone" is not in "model-2.safetensors"/);
    expect(stillOpen()).toEqual([]);
  });

  it('closes a shard whose header is bad', async () => {
    const { openShard, stillOpen } = opener({ 'x.safetensors': new Uint8Array(4) });
    await expectError(
      () => openShardedSafetensors(index({ a: 'x.safetensors' }), openShard),
      'TRUNCATED',
      /x.safetensors/,
    );
    expect(stillOpen()).toEqual([]);
  });

  it('notices a shard that changed after its header was read', async () => {
    const contents = { 'x.safetensors': shard({ a: [1, 2] }) };
    const { openShard, stillOpen } = opener(contents);
    const opened = await openShardedSafetensors(index({ a: 'x.safetensors' }), openShard);
    const before = contents['x.safetensors'];
    contents['x.safetensors'] = shard({ a: [1, 2, 3, 4] });
    await expectError(() => opened.readFloat32('a'), 'BAD_SAFETENSORS', /had 72 bytes .* has 88 now/);
    expect(stillOpen()).toEqual([]);
    contents['x.safetensors'] = before;
    expect([...(await opened.readFloat32('a'))]).toEqual([1, 2]);
  });

  it.each(['../x', 'a/b', 'a\\b', '/etc/passwd', 'C:x', '..', '.', '', 'a..b', 'a\u0000b', 7, null])(
    'refuses the file name %j',
    async (fileName) => {
      const { openShard, spies } = opener();
      await expectError(
        () => openShardedSafetensors(index({ a: 'model-1.safetensors', b: fileName }), openShard),
        'BAD_SAFETENSORS',
        /tensor "b" .* not a plain file name/,
      );
      expect(spies).toEqual([]);
    },
  );

  it.each<[string, RegExp]>([
    ['{', /is not JSON/],
    ['[]', /no "weight_map" object/],
    ['{"weight_map":[]}', /no "weight_map" object/],
    ['{"weight_map":{"a":"x","a":"y"}}', /the key "a" twice/],
  ])('refuses the index %s', async (text, message) => {
    await expectError(() => openShardedSafetensors(text, opener().openShard, 'i.json'), 'BAD_SAFETENSORS', message);
  });
});
