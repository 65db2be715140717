// Converted weights kept from one start to the next. What they were made from and how is a recipe; where they are kept
// is not this room's business.
import type { View } from '../engine/index.ts';
import { toOnnx } from '../graph/index.ts';
import { type LlamaConfig, moduleNames } from '../models/index.ts';
import {
  type Basis,
  embeddingProgram,
  type Precision,
  quantizeHeadProgram,
  quantizeInt4Program,
  quantizeModuleProgram,
  turnHeadProgram,
} from '../quant/index.ts';

/**
 * Raise it when an equal recipe comes to mean other bytes or other names; what was kept before is then not used any more.
 * Changes to the programs that convert need no new number: they are in the recipe themselves.
 */
const conversionVersion = 1;

/** Everything but the checkpoint's own weights that decides what conversion makes. */
export interface ConversionRecipe {
  version: number;
  precision: Precision;
  /** Backward weights are there too. */
  training: boolean;
  basis: Basis;
  config: LlamaConfig;
  /** The programs that convert, as the engine gets them. */
  programs: readonly Uint8Array[];
}

export function conversionRecipe(config: LlamaConfig, basis: Basis, training: boolean): ConversionRecipe {
  const { precision } = basis;
  const made = { version: conversionVersion, precision, training, basis, config, programs: [] };
  if (precision === 'int4') {
    return { ...made, programs: moduleNames.map((m) => toOnnx(quantizeInt4Program(config, m))) };
  }
  if (basis.storage === 'float') return made;
  const programs = [
    embeddingProgram(config, basis),
    ...moduleNames.map((m) => quantizeModuleProgram(config, basis, m, training)),
    quantizeHeadProgram(config, basis),
    turnHeadProgram(config),
  ];
  return { ...made, programs: programs.map((p) => toOnnx(p)) };
}

/** Both promises are only rejected when the engine fails: a cache that does not work is no reason to stop. */
export interface WeightCache {
  /** The views saved under an equal recipe, or undefined. */
  load(recipe: ConversionRecipe): Promise<ReadonlyMap<string, View> | undefined>;
  save(recipe: ConversionRecipe, views: ReadonlyMap<string, View>): Promise<void>;
}

/** What conversion makes: the parts of a resident model that are worth keeping. */
export interface ConvertedWeights {
  embedding: Readonly<Record<string, View>>;
  head: Readonly<Record<string, View>>;
  layers: readonly Readonly<Record<string, View>>[];
}

/** One name for each view: 'embedding.table', 'head.w', '0.q_proj.w', ... */
export function nameViews(weights: ConvertedWeights): Map<string, View> {
  const named = new Map<string, View>();
  for (const [name, v] of Object.entries(weights.embedding)) named.set(`embedding.${name}`, v);
  // A tied head in float32 is the embedding's table: once is enough.
  for (const [name, v] of Object.entries(weights.head)) if (v !== weights.embedding.table) named.set(name, v);
  for (const [layer, views] of weights.layers.entries()) {
    for (const [name, v] of Object.entries(views)) named.set(`${layer}.${name}`, v);
  }
  return named;
}

/** The reverse; undefined for views that are not of a model with so many layers. */
export function sortViews(views: ReadonlyMap<string, View>, layers: number): ConvertedWeights | undefined {
  const head: Record<string, View> = {};
  const sorted: Record<string, View>[] = Array.from({ length: layers }, () => ({}));
  const embedding: Record<string, View> = {};
  for (const [name, v] of views) {
    const inLayer = /^(\d+)\.(.+)$/.exec(name);
    if (name.startsWith('embedding.')) embedding[name.slice('embedding.'.length)] = v;
    else if (!inLayer) head[name] = v;
    else if (Number(inLayer[1]) < layers) sorted[Number(inLayer[1])]![inLayer[2]!] = v;
    else return undefined;
  }
  if (!embedding.table || sorted.some((s) => Object.keys(s).length === 0)) return undefined;
  // Heads of 8 bits have codes, or a matrix of their own.
  if (!head['head.w'] && !head['head.codes']) head['head.w'] = embedding.table;
  return { embedding, head, layers: sorted };
}
