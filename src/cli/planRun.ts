// The memory plan of a fine-tuning run: made from the rows themselves before the model is loaded, and shown as a table.
import { batchPacks, type Example, epochOrder, type Pack, packExamples } from '../data/index.ts';
import type { LlamaConfig, LoraConfig } from '../models/index.ts';
import { choosePlan, estimateTraining, type MemoryPlan, type MemoryRow, showPlanSettings } from '../runner/index.ts';
import { memoryForUs } from './freeMemory.ts';
import { parseMemory, type Settings } from './settings.ts';

export interface RunPlan extends MemoryPlan {
  /** Bytes. */
  limit: number;
}

/** So many steps of the first epoch are looked at: enough to meet the fullest packs. */
const stepsSeen = 64;

/** The packs that are largest in some respect: buffers grow to the largest of each kind. */
function largest(packs: readonly Pack[]): Pack[] {
  const squares = (p: Pack) => p.segments.reduce((n, s) => n + s.ids.length ** 2, 0);
  const by = [(p: Pack) => p.rows, (p: Pack) => p.tokens, (p: Pack) => p.targets, squares];
  const found = by.map((size) => packs.reduce((a, b) => (size(b) > size(a) ? b : a)));
  return [...new Set(found)];
}

/** The fullest packs that training meets; a batch of the longest rows is among them. */
function trainingPacks(examples: readonly Example[], s: Settings, packLen: number): Pack[] {
  const options = { batchSize: s.batch_size, packLen, sharedPrefix: s.shared_prefix };
  const order = epochOrder(examples.length, s.seed, 0).slice(0, stepsSeen * s.batch_size);
  const rows = order.map((i) => examples[i]!);
  const long = [...examples].sort((a, b) => b.ids.length - a.ids.length).slice(0, s.batch_size);
  return largest([...batchPacks(rows, options), ...batchPacks(long, options)].flat());
}

/** @throws HuacayaError MEMORY_LIMIT. */
export async function planRun(
  config: LlamaConfig,
  s: Settings,
  lora: LoraConfig,
  rows: { examples: readonly Example[]; heldOut: readonly Example[] },
  given: ReadonlySet<string>,
): Promise<RunPlan> {
  const limit = s.memory === 'auto' ? memoryForUs() : parseMemory(s.memory)!;
  const longest = [...rows.examples, ...rows.heldOut].reduce((n, e) => Math.max(n, e.ids.length), 0);
  const count = (all: readonly Example[]) => all.reduce((n, e) => n + e.ids.length, 0);
  const tokens = Math.max(count(rows.examples), count(rows.heldOut));
  const wishes = {
    precision: s.precision,
    packTokens: s.pack_len,
    oneCopy: s.one_copy,
    recompute: s.recompute,
    fixed: { precision: given.has('precision'), packTokens: given.has('pack_len') },
    longest,
  };
  const plan = await choosePlan(limit, wishes, (settings) => {
    const packing = { packLen: settings.packTokens, sharedPrefix: s.shared_prefix };
    const packs = trainingPacks(rows.examples, s, settings.packTokens).map((p) => p.families);
    const some = rows.heldOut.slice(0, stepsSeen * s.batch_size);
    const heldOut = some.length ? largest(packExamples(some, packing)).map((p) => p.families) : [];
    // No pack is longer than all rows together.
    const packTokens = Math.min(settings.packTokens, tokens);
    return estimateTraining(config, { ...settings, packTokens, positions: s.cutoff_len, lora, packs, heldOut });
  });
  return { ...plan, limit };
}

export const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(2);

/** One line a row, the sum last. */
export const memoryTable = (rows: readonly MemoryRow[], total: number): string[] =>
  [...rows, { what: 'peak of the process', bytes: total }].map(
    ({ what, bytes }) => `  ${what.padEnd(24)}${gigabytes(bytes).padStart(7)} GB`,
  );

export const describePlan = (plan: RunPlan): string[] => [
  `memory    ${showPlanSettings(plan.settings)}: ${plan.reason}; limit ${gigabytes(plan.limit)} GB`,
  ...memoryTable(plan.estimate.rows, plan.estimate.total),
];
