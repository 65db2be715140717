// Profiling on the real engine: what it sees, what it leaves out, and that it leaves nothing behind.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CompiledProgram, type Runtime, view } from '../../../src/engine/index.ts';
import { createRuntime } from '../../../src/engine/node.ts';
import { add, input, matmul, program } from '../../../src/graph/index.ts';

// Traces lie in the system's temporary folder: for these tests one of their own.
let folder: string;
const before = process.env.TMPDIR;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'huacaya-test-'));
  process.env.TMPDIR = folder;
});
afterEach(() => {
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
  rmSync(folder, { recursive: true });
});
const traces = () => readdirSync(folder, { recursive: true }).filter((f) => String(f).endsWith('.json'));

const [x, w] = [input('x', ['n', 64]), input('w', [64, 32])];
const product = program('part.product', { y: matmul(x, w) });
const sum = program('part.sum', { y: add(input('x', ['n', 64]), input('b', [64])) });

function runner(runtime: Runtime) {
  const upload = (length: number, shape: number[]) => view(runtime.upload(new Float32Array(length).fill(1)), shape);
  const feeds = { x: upload(16 * 64, [16, 64]), w: upload(64 * 32, [64, 32]), b: upload(64, [64]) };
  const y = runtime.alloc('float32', 16 * 64);
  return (p: CompiledProgram, times: number) => {
    const width = p.name === product.name ? 32 : 64;
    for (let i = 0; i < times; i++) runtime.run(p, feeds, { y: view(y, [16, width]) });
  };
}

async function profiled(options: Parameters<typeof createRuntime>[0], use: (runtime: Runtime) => Promise<void>) {
  const runtime = await createRuntime({ threads: 1, ...options });
  try {
    await use(runtime);
  } finally {
    await runtime.close();
  }
}

describe('a profile', () => {
  it('tells runs, kernels, arithmetic and time by program', async () => {
    await profiled({ profile: true }, async (runtime) => {
      const [p, s] = [await runtime.compile(product), await runtime.compile(sum)];
      const run = runner(runtime);
      const begin = performance.now();
      run(p, 5);
      run(s, 3);
      await runtime.sync();
      const elapsed = (performance.now() - begin) / 1000;
      const made = await runtime.profile();
      const byName = Object.fromEntries(made.map((m) => [m.program, m]));
      expect(Object.keys(byName).sort()).toEqual(['part.product', 'part.sum']);
      expect(byName['part.product']).toMatchObject({
        runs: 5,
        lost: 0,
        ops: [{ op: 'MatMul', calls: 5, flops: 5 * 2 * 16 * 64 * 32 }],
      });
      expect(byName['part.sum']).toMatchObject({ runs: 3, lost: 0, ops: [{ op: 'Add', calls: 3, flops: 0 }] });
      for (const m of made) {
        const kernels = m.ops.reduce((t, o) => t + o.seconds, 0);
        expect(kernels).toBeGreaterThan(0);
        expect(m.seconds).toBeGreaterThan(kernels);
      }
      expect(made.reduce((t, m) => t + m.seconds, 0)).toBeLessThan(elapsed);
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('counts only what it is told to, also of programs that are gone', async () => {
    await profiled({ profile: true }, async (runtime) => {
      const [p, s] = [await runtime.compile(product), await runtime.compile(sum)];
      const run = runner(runtime);
      runtime.countRuns(false);
      run(p, 4);
      run(s, 4);
      runtime.countRuns(true);
      run(p, 2);
      runtime.countRuns(false);
      run(p, 3);
      runtime.countRuns(true);
      run(p, 1);
      runtime.release(p);
      const made = await runtime.profile();
      expect(made.map((m) => [m.program, m.runs, m.ops[0]?.calls])).toEqual([['part.product', 3, 3]]);
    });
  });

  it('is of the programs that were chosen', async () => {
    await profiled({ profile: (name) => name === sum.name }, async (runtime) => {
      const [p, s] = [await runtime.compile(product), await runtime.compile(sum)];
      const run = runner(runtime);
      run(p, 2);
      run(s, 2);
      expect((await runtime.profile()).map((m) => m.program)).toEqual(['part.sum']);
    });
  });

  it('adds up sessions of one name', async () => {
    await profiled({ profile: true }, async (runtime) => {
      const [one, two] = [await runtime.compile(product), await runtime.compile(product)];
      const run = runner(runtime);
      run(one, 2);
      run(two, 3);
      expect(await runtime.profile()).toMatchObject([{ program: 'part.product', runs: 5, ops: [{ calls: 5 }] }]);
    });
  });

  it('ends when it is read: what runs later runs, unseen', async () => {
    await profiled({ profile: true }, async (runtime) => {
      const p = await runtime.compile(product);
      const run = runner(runtime);
      run(p, 2);
      const first = await runtime.profile();
      expect(traces()).toEqual([]);
      run(p, 2);
      await runtime.sync();
      expect(await runtime.profile()).toEqual(first);
    });
  });

  it('that nobody asks for is cleaned up too', async () => {
    await profiled({ profile: true }, async (runtime) => {
      const p = await runtime.compile(product);
      runner(runtime)(p, 2);
      await runtime.sync();
      expect(traces()).toHaveLength(1);
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('whose trace is gone ends in an error, once, and the engine works on', async () => {
    await profiled({ profile: true }, async (runtime) => {
      const p = await runtime.compile(product);
      const run = runner(runtime);
      run(p, 1);
      await runtime.sync();
      for (const f of traces()) rmSync(join(folder, String(f)));
      await expect(runtime.profile()).rejects.toMatchObject({
        code: 'ENGINE',
        message: expect.stringMatching(/part\.product/),
      });
      run(p, 1);
      await runtime.sync();
    });
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('without profiling', () => {
  it('there is nothing to tell, and no file', async () => {
    await profiled({}, async (runtime) => {
      const p = await runtime.compile(product);
      runtime.countRuns(true);
      runner(runtime)(p, 2);
      expect(await runtime.profile()).toEqual([]);
      expect(readdirSync(folder)).toEqual([]);
    });
  });
});

describe('a temporary folder that does not exist', () => {
  it('is named', async () => {
    process.env.TMPDIR = join(folder, 'gone');
    const error = await createRuntime({ threads: 1, profile: true }).catch((e) => e);
    expect(error).toMatchObject({ code: 'FILE_NOT_FOUND', message: expect.stringContaining('gone') });
  });
});
