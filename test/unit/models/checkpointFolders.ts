// What the tests of checkpoint layouts share: folders made of fixtures and a tokenizer, and comparing all weights of two models.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memorySource } from '../../../src/base/index.ts';
import { encodeSafetensors, openSafetensors } from '../../../src/formats/index.ts';
import {
  allRoles,
  configFromJson,
  expectedShape,
  huggingFaceWeights,
  type WeightSource,
} from '../../../src/models/index.ts';
import type { Checkpoint } from '../../../src/models/node.ts';
import { expectSameFloats } from '../formats/helpers.ts';

export const fixtures = join(import.meta.dirname, '../../fixtures/checkpoints');

/** A temporary folder for one test file; `remove` in afterAll. */
export function workFolder() {
  const root = mkdtempSync(join(tmpdir(), 'huacaya-checkpoints-'));
  let made = 0;
  return {
    root,
    /** A new folder with files: text, bytes, or JSON. */
    folder(files: Record<string, unknown>, parent = root): string {
      const path = join(parent, `m${made++}`);
      mkdirSync(path, { recursive: true });
      for (const [name, content] of Object.entries(files)) {
        const raw = typeof content === 'string' || content instanceof Uint8Array;
        writeFileSync(join(path, name), raw ? content : JSON.stringify(content));
      }
      return path;
    },
    /** A copy of a fixture; with a tokenizer in it, as a model has. */
    copy(fixture: string, more: Record<string, unknown> = tokenizer()): string {
      const path = this.folder(more);
      for (const name of readdirSync(join(fixtures, fixture))) cpSync(join(fixtures, fixture, name), join(path, name));
      return path;
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

export const tokenizer = (): Record<string, unknown> => ({ 'tokenizer.model': tinyPieces() });

/** The truth: a fixture of safetensors, opened without anything that is tested here. */
export async function truth(fixture: string) {
  const folder = join(fixtures, fixture);
  const config = configFromJson(fixture, JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')));
  const bytes = new Uint8Array(await readFile(join(folder, 'model.safetensors')));
  const file = await openSafetensors(memorySource(fixture, bytes));
  return { config, file, weights: huggingFaceWeights(file, config) };
}

/** Every number of every weight, whole and by odd ranges of rows. */
export async function expectSameWeights(
  actual: Checkpoint,
  expected: { config: Checkpoint['config']; weights: WeightSource },
) {
  for (const role of allRoles(expected.config)) {
    const whole = await expected.weights.read(role);
    expectSameFloats(await actual.weights.read(role), whole);
    const [rows, width] = expectedShape(expected.config, role) as [number, number?];
    if (width === undefined) continue;
    for (const [from, to] of [
      [0, 1],
      [rows - 1, rows],
      [3, rows - 2],
      [5, 6],
      [4, 4],
    ] as const) {
      expectSameFloats(await actual.weights.read(role, [from, to]), whole.subarray(from * width, to * width));
    }
  }
}

/** The tensors of a fixture under other names, as a safetensors file; `extra` are scalars beside them. */
export async function renamedWeights(
  fixture: string,
  rename: (name: string) => string | undefined,
  extra: readonly string[] = [],
) {
  const { file } = await truth(fixture);
  const tensors = extra.map((name) => ({ name, dtype: 'F32' as const, shape: [1], data: new Float32Array(1) }));
  for (const [name, { shape }] of file.tensors) {
    const to = rename(name);
    if (to !== undefined)
      tensors.push({
        name: to,
        dtype: 'F32' as const,
        shape: [...shape],
        data: new Float32Array(await file.readFloat32(name)),
      });
  }
  return encodeSafetensors(tensors);
}

/** A SentencePiece model (BPE) of 40 pieces, as many as the fixtures have rows for; the first three are LLaMA's. */
export function tinyPieces(): Uint8Array {
  const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >> 7)]);
  const message = (no: number, body: readonly number[]) => [(no << 3) | 2, ...varint(body.length), ...body];
  const text = (no: number, value: string) => message(no, [...new TextEncoder().encode(value)]);
  const number = (no: number, value: number) => [no << 3, value];
  const float = (no: number, value: number) => [(no << 3) | 5, ...new Uint8Array(Float32Array.of(value).buffer)];
  const ordinary = ['▁a', 'b', '▁', 'a', ...Array.from({ length: 33 }, (_, i) => String.fromCodePoint(0x3b1 + i))];
  const pieces: [string, number, number][] = [
    ['<unk>', 0, 2],
    ['<s>', 0, 3],
    ['</s>', 0, 3],
    ...ordinary.map((piece, i): [string, number, number] => [piece, -i, 1]),
  ];
  return Uint8Array.from([
    ...pieces.flatMap(([piece, score, type]) =>
      message(1, [...text(1, piece), ...float(2, score), ...number(3, type)]),
    ),
    // model_type BPE.
    ...message(2, number(3, 2)),
    ...message(3, [...text(1, 'identity'), ...number(3, 1), ...number(4, 0), ...number(5, 1)]),
  ]);
}
