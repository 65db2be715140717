// A decode engine on a tiny model, and the pass that it is compared with.

import { constantStore } from '../../src/assistant/constantStore.ts';
import type { Runtime } from '../../src/engine/index.ts';
import type { Adapter } from '../../src/models/index.ts';
import { openCheckpoint } from '../../src/models/node.ts';
import type { Precision } from '../../src/quant/index.ts';
import {
  type AdapterUse,
  createDecodeEngine,
  type DecodeEngine,
  type DecodePrecision,
  InferencePass,
  type KvPrecision,
  loadModel,
  type Pass,
} from '../../src/runner/index.ts';
import { type TinyModel, temporaryFolder, writeTinyModel } from './tinyModel.ts';

export interface TinyEngineOptions {
  precision: DecodePrecision;
  slots?: number;
  capacity?: number;
  kvPrecision?: KvPrecision;
  sampleIds?: readonly number[];
  warn?: (message: string) => void;
}

/** Engines of one test file, with the folders that they read from until the end. */
export function tinyEngines() {
  const folders: { remove(): void }[] = [];
  const stores: { dispose(): Promise<void> }[] = [];
  return {
    async open(runtime: Runtime, model: TinyModel, options: TinyEngineOptions): Promise<DecodeEngine> {
      const folder = temporaryFolder();
      folders.push(folder);
      const checkpoint = await openCheckpoint(writeTinyModel(folder.path, model));
      const { config, weights } = checkpoint;
      const out = { warn: () => {}, progress: () => {} };
      const store = constantStore(out, { runtime, checkpoint, cacheDir: undefined });
      stores.push(store);
      const { slots = 4, capacity = 128, ...rest } = options;
      const engine = createDecodeEngine({
        runtime,
        config,
        weights,
        store,
        slots,
        capacity,
        ...rest,
      });
      return engine.finally(() => weights.close());
    },
    async remove() {
      for (const s of stores) await s.dispose();
      for (const f of folders) f.remove();
    },
  };
}

/** The pass that training uses to look at its model: written apart from the engine, one sequence at a time. */
export async function plainPass(runtime: Runtime, model: TinyModel, precision: Precision): Promise<InferencePass> {
  const folder = temporaryFolder();
  try {
    const { config, weights } = await openCheckpoint(writeTinyModel(folder.path, model));
    const resident = await loadModel({ runtime, config, weights, precision, training: false });
    await weights.close();
    return await InferencePass.create(resident);
  } finally {
    folder.remove();
  }
}

/** Logits after the last of `ids`, from an empty cache. */
export async function plainLogits(
  pass: InferencePass,
  ids: readonly number[],
  adapter?: Pick<Adapter, 'layout' | 'params'>,
): Promise<Float32Array> {
  const cache = pass.createCache(ids.length);
  const resident = adapter && (await pass.loadAdapter(adapter));
  const logits = new Float32Array(await pass.advance(cache, ids, resident));
  pass.freeCache(cache);
  if (resident) pass.model.runtime.free(resident.parameters);
  return logits;
}

/** A pass of new tokens of one slot, with logits after the last. */
export const onePass = (slot: number, past: number, ids: readonly number[], adapter?: AdapterUse): Pass => ({
  first: slot,
  pasts: [past],
  ids: [ids],
  adapters: [adapter],
  keep: [ids.length - 1],
});

/** Takes tokens into a slot, in pieces, and gives the logits after the last. */
export async function feed(
  engine: DecodeEngine,
  slot: number,
  pieces: readonly (readonly number[])[],
  { adapter, past = 0, narrow }: { adapter?: AdapterUse; past?: number; narrow?: boolean } = {},
): Promise<Float32Array> {
  let length = past;
  for (const ids of pieces) {
    await engine.pick({ ...onePass(slot, length, ids, adapter), ...(narrow ? { narrow } : {}) }, { k: 1 });
    length += ids.length;
  }
  return engine.row(0);
}

/** One token of each of several slots; logits of each. A past and a token for each slot. */
export async function step(
  engine: DecodeEngine,
  first: number,
  rows: readonly { past: number; id: number; adapter?: AdapterUse | undefined }[],
): Promise<Float32Array[]> {
  await engine.pick(
    {
      first,
      pasts: rows.map((r) => r.past),
      ids: rows.map((r) => [r.id]),
      adapters: rows.map((r) => r.adapter),
      keep: rows.map((_, i) => i),
    },
    { k: 1 },
  );
  const logits: Float32Array[] = [];
  for (let i = 0; i < rows.length; i++) logits.push(await engine.row(i));
  return logits;
}
