// Inputs that are part of a compiled program and lie in a file: the same results, and clear errors about the file.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HuacayaError } from '../../../src/base/index.ts';
import type { ConstantFile, Runtime } from '../../../src/engine/index.ts';
import { createRuntime } from '../../../src/engine/node.ts';
import { add, embedTokens, inputName, matmul, nBitsLinear, type Program, program } from '../../../src/graph/index.ts';
import { hostArray, runOnEngine } from '../../helpers/engineRun.ts';
import { evaluateNamed, type Feeds } from '../../helpers/referenceEvaluator.ts';
import { Scene } from '../../helpers/scene.ts';
import { build, type Tensor } from '../../helpers/tensor.ts';
import { temporaryFolder } from '../../helpers/tinyModel.ts';
import { nBits, wholeRows } from '../graph/nBits.ts';

const folder = temporaryFolder();
let runtime: Runtime;
beforeAll(async () => {
  runtime = await createRuntime({ threads: 2 });
});
afterAll(async () => {
  await runtime.close();
  folder.remove();
});

/** Writes the fed inputs with these names one after the other, each from a multiple of `align` on. */
function writeConstants(name: string, p: Program, feeds: Feeds, names: readonly string[], align = 64): ConstantFile {
  const parts: Record<string, { offset: number; length: number }> = {};
  const pieces: Buffer[] = [];
  let end = 0;
  for (const v of p.inputs.filter((i) => names.includes(inputName(i)))) {
    const data = hostArray(v.dtype, feeds[inputName(v)]!.data);
    const offset = Math.ceil(end / align) * align;
    pieces.push(Buffer.alloc(offset - end, 0xee), Buffer.from(data.buffer));
    parts[inputName(v)] = { offset, length: data.byteLength };
    end = offset + data.byteLength;
  }
  const path = join(folder.path, name);
  writeFileSync(path, Buffer.concat(pieces));
  return { path, parts };
}

function expectClose(actual: Tensor, expected: Tensor, what: string): void {
  expect(actual.shape, what).toEqual(expected.shape);
  const allowed = 1e-5 * Math.max(...expected.data.map(Math.abs));
  const worst = Math.max(...actual.data.map((x, i) => Math.abs(x - expected.data[i]!)));
  expect(worst, what).toBeLessThanOrEqual(allowed);
}

/** The program's results with constants of a file, with all fed, and those of the reference: the same. */
async function expectSame(p: Program, feeds: Feeds, constants: ConstantFile): Promise<void> {
  const expected = evaluateNamed(p.outputs, feeds);
  const [fed, held] = [await runtime.compile(p), await runtime.compile(p, constants)];
  const known = Object.keys(constants.parts);
  expect([...held.inputs].sort()).toEqual(fed.inputs.filter((name) => !known.includes(name)).sort());
  expect(held.outputs).toEqual(fed.outputs);
  for (const [compiled, what] of [[fed, 'fed'] as const, [held, 'held'] as const]) {
    const made = await runOnEngine(runtime, compiled, p, feeds, expected);
    for (const [name, t] of Object.entries(expected)) expectClose(made[name]!, t, `${name} ${what}`);
  }
  runtime.release(fed);
  runtime.release(held);
}

/** Products, a lookup and a sum: constants of every kind that a model has. */
function smallModel() {
  const s = new Scene(3);
  const table = s.given('table', [5, 6], Array.from({ length: 30 }, (_, i) => (i - 9) / 4), 'float16'); // biome-ignore format: one idea
  const [w, bias] = [s.constant('w', [6, 3]), s.constant('bias', [3])];
  const rows = s.constant('rows', [s.dim('n', { size: 2, symbolic: true }), 6]);
  const ids = s.indices('ids', [1, 'n'], 5);
  const p = program('model', { y: add(matmul(rows, w), bias), embedded: embedTokens(table, ids) });
  return { p, feeds: s.feeds, names: ['table', 'w', 'bias'] };
}

describe('constants in a file', () => {
  it('give what the same inputs give', async () => {
    const { p, feeds, names } = smallModel();
    await expectSame(p, feeds, writeConstants('all', p, feeds, names));
  });

  it('may be some of the inputs, lie in any order, next to each other, and in a folder with any name', async () => {
    const { p, feeds, names } = smallModel();
    await expectSame(p, feeds, writeConstants('dense', p, feeds, names, 4));
    await expectSame(p, feeds, writeConstants('one', p, feeds, ['bias']));
    mkdirSync(join(folder.path, 'un été, 夏'));
    await expectSame(p, feeds, writeConstants('un été, 夏/poids 重.bin', p, feeds, names));
  });

  it('may be shared by programs, and the file may go', async () => {
    const { p, feeds, names } = smallModel();
    const constants = writeConstants('gone', p, feeds, names);
    const programs = [await runtime.compile(p, constants), await runtime.compile(p, constants)];
    rmSync(constants.path);
    const expected = evaluateNamed(p.outputs, feeds);
    for (const compiled of programs) {
      const made = await runOnEngine(runtime, compiled, p, feeds, expected);
      expectClose(made.y!, expected.y!, 'y');
      expectClose(made.embedded!, expected.embedded!, 'embedded');
    }
  });

  // Only of constants does the kernel make a layout of its own, and only then does it take x in 8 bits.
  it.each([
    [4, 16],
    [4, 32],
    [4, 64],
    [4, 128],
    [4, 256],
    [8, 16],
    [8, 32],
    [8, 64],
    [8, 128],
    [8, 256],
  ] as const)('matrices in %i bits in blocks of %i', async (bits, block) => {
    const s = new Scene(bits + block);
    const shapes = [
      { rows: 1, out: 5, in: 256 },
      { rows: 1, out: 33, in: 272 },
      { rows: 3, out: 16, in: 68 },
      { rows: 9, out: 130, in: 20 },
    ];
    const outputs = shapes.map((m, i) => {
      const x = wholeRows(s, `x${i}`, [1, s.dim(`n${i}`, { size: m.rows, symbolic: true }), m.in]);
      return [`y${i}`, nBitsLinear(x, nBits(s, `m${i}`, { out: m.out, in: m.in, bits, block }))] as const;
    });
    const p = program('products', Object.fromEntries(outputs));
    const names = Object.keys(s.feeds).filter((name) => name.startsWith('m'));
    await expectSame(p, s.feeds, writeConstants(`products${bits}.${block}`, p, s.feeds, names));
  });
});

describe('rows that are no whole numbers', () => {
  it.each([4, 8] as const)('lose at most half a step of their block (matrix in %i bits)', async (bits) => {
    const [rows, inner, block] = [4, 160, 32];
    const s = new Scene(bits);
    const x = s.constant('x', [s.dim('n', { size: rows, symbolic: true }), inner]);
    const m = nBits(s, 'm', { out: 24, in: inner, bits, block });
    const p = program('rounded', { y: nBitsLinear(x, m) });
    const names = [m.codes, m.scales, m.zeroPoints].map(inputName);
    const compiled = await runtime.compile(p, writeConstants(`rounded${bits}`, p, s.feeds, names));

    const exact = evaluateNamed(p.outputs, s.feeds).y!;
    const made = await runOnEngine(runtime, compiled, p, s.feeds, { y: exact });
    // The matrix itself: what the product makes of the unit vectors. One block of a row is half a step off at the most.
    const unit = build([inner, inner], ([i, j]) => (i === j ? 1 : 0));
    const columns = evaluateNamed(p.outputs, { ...s.feeds, x: unit }).y!;
    const given = s.feeds.x!;
    exact.data.forEach((y, at) => {
      const [row, out] = [Math.floor(at / 24), at % 24];
      let allowed = 1e-5 * Math.max(...exact.data.map(Math.abs));
      for (let begin = 0; begin < inner; begin += block) {
        const inputs = given.data.slice(row * inner + begin, row * inner + begin + block);
        const halfStep = Math.max(...inputs.map(Math.abs)) / 254;
        inputs.forEach((_, i) => {
          allowed += halfStep * Math.abs(columns.data[(begin + i) * 24 + out]!);
        });
      }
      expect(Math.abs(made.y!.data[at]! - y)).toBeLessThanOrEqual(allowed);
    });
  });
});

describe('what is wrong with the file', () => {
  async function errorOf(promise: Promise<unknown>): Promise<HuacayaError> {
    const error = await promise.then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(HuacayaError);
    return error as HuacayaError;
  }

  /** The constant w, of 72 bytes in a file of 252, somewhere else. */
  const place = (good: ConstantFile, w: { offset: number; length: number }) => ({
    ...good,
    parts: { ...good.parts, w },
  });
  const cases: [string, (good: ConstantFile) => ConstantFile, string[]][] = [
    ['is not there', (good) => ({ ...good, path: join(folder.path, 'absent') }), ['absent', 'does not exist']],
    ['is a folder', (good) => ({ ...good, path: folder.path }), [folder.path]],
    ['ends before a constant', (good) => place(good, { offset: 4096, length: 72 }), [': w ', '4096', '72', '252']],
    ['ends within a constant', (good) => place(good, { offset: 200, length: 72 }), [': w ', '200', '72', '252']],
    ['has fewer bytes than the shape', (good) => place(good, { offset: 64, length: 71 }), [': w ', '72', '71']],
    ['has more bytes than the shape', (good) => place(good, { offset: 64, length: 76 }), [': w ', '72', '76']],
    ['begins before the file', (good) => place(good, { offset: -4, length: 72 }), [': w ', '-4']],
  ];

  it.each(cases)('%s: an ENGINE error with the figures, and the engine goes on', async (_name, spoil, parts) => {
    const { p, feeds, names } = smallModel();
    const good = writeConstants('good', p, feeds, names);
    const { code, message } = await errorOf(runtime.compile(p, spoil(good)));
    expect(code).toBe('ENGINE');
    for (const part of parts) expect(message).toContain(part);
    await expectSame(p, feeds, good);
  });

  it('an empty file', async () => {
    const { p, feeds, names } = smallModel();
    const good = writeConstants('empty', p, feeds, names);
    writeFileSync(good.path, '');
    expect((await errorOf(runtime.compile(p, good))).code).toBe('ENGINE');
  });

  it('a constant whose size is not known is an internal error', async () => {
    const { p, feeds } = smallModel();
    const constants = writeConstants('sizes', p, feeds, ['rows']);
    await expect(runtime.compile(p, constants)).rejects.toThrow(
      'internal: model: the constant rows has the shape [n,6]',
    );
  });
});
