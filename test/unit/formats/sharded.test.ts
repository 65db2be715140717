// Models in many files: few of them open at a time, none closed under a read, whatever their format.
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../../src/base/index.ts';
import { encodeSafetensors, openSafetensors, openSharded, parseShardIndex } from '../../../src/formats/index.ts';
import { fewOpen } from '../../../src/formats/openFew.ts';

const count = 33;
const fileName = (n: number) => `pytorch_model-000${String(n + 1).padStart(2, '0')}-of-000${count}.bin`;
const index = parseShardIndex(
  'index',
  JSON.stringify({ weight_map: Object.fromEntries(Array.from({ length: count }, (_, n) => [`t${n}`, fileName(n)])) }),
);

/** Shards of one number each; counts how many are open. */
function opener() {
  const state = { open: 0, most: 0, opened: 0 };
  const openShard = async (name: string) => {
    const n = Number(name.slice(16, 19)) - 1;
    const bytes = encodeSafetensors([{ name: `t${n}`, dtype: 'F32', shape: [1], data: Float32Array.of(n) }]);
    const file = await openSafetensors(memorySource(name, bytes));
    state.opened++;
    state.most = Math.max(state.most, ++state.open);
    const close = async () => {
      state.open--;
      await file.close();
    };
    return { ...file, close };
  };
  return { openShard, state };
}

describe('33 shards', () => {
  it('are looked at one at a time, and four stay open', async () => {
    const { openShard, state } = opener();
    const file = await openSharded('index', index, openShard);
    expect(state).toEqual({ open: 0, most: 1, opened: count });
    expect(file.tensors.size).toBe(count);
    for (let n = 0; n < count; n++) expect([...(await file.readFloat32(`t${n}`))]).toEqual([n]);
    expect(state).toEqual({ open: 4, most: 5, opened: 2 * count });
    // Those of the end are still there.
    await file.readFloat32(`t${count - 1}`);
    expect(state.opened).toBe(2 * count);
    await file.close();
    expect(state.open).toBe(0);
  });

  it('can be read all at once', async () => {
    const { openShard, state } = opener();
    const file = await openSharded('index', index, openShard);
    const all = await Promise.all(Array.from({ length: 2 * count }, (_, i) => file.readFloat32(`t${i % count}`)));
    expect(all.map(([x]) => x)).toEqual(Array.from({ length: 2 * count }, (_, i) => i % count));
    expect(state.opened).toBe(2 * count);
    expect(state.open).toBe(4);
    await file.close();
    expect(state.open).toBe(0);
  });
});

describe('few open files', () => {
  it('a file is not closed while it is read, and closing waits for it', async () => {
    const log: string[] = [];
    const files = fewOpen(1, async (name) => ({ close: async () => void log.push(`closed ${name}`) }));
    let finish = () => {};
    const slow = files.use('a', () => new Promise<void>((resolve) => (finish = resolve)));
    await files.use('b', async () => log.push('read b'));
    await files.use('c', async () => log.push('read c'));
    expect(log).toEqual(['read b', 'read c', 'closed b']);
    const closing = files.close().then(() => log.push('all closed'));
    await Promise.resolve();
    finish();
    await slow;
    await closing;
    expect(log.sort()).toEqual(['all closed', 'closed a', 'closed b', 'closed c', 'read b', 'read c']);
  });

  it('a file that could not be opened is tried again', async () => {
    let tries = 0;
    const files = fewOpen(2, async () => {
      if (++tries === 1) throw new Error('busy');
      return { close: async () => {} };
    });
    const both = await Promise.allSettled([files.use('a', async () => 1), files.use('a', async () => 2)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await files.use('a', async () => 3)).toBe(3);
    expect(tries).toBe(2);
  });

  it('an error of the work does not close the file', async () => {
    let closed = 0;
    const files = fewOpen(2, async () => ({ close: async () => void closed++ }));
    const fails = files.use('a', async () => {
      throw new Error('bad row');
    });
    await expect(fails).rejects.toThrow('bad row');
    expect(await files.use('a', async () => closed)).toBe(0);
    await files.close();
    expect(closed).toBe(1);
  });
});
