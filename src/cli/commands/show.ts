// huacaya show: what a model is, and what it takes to answer with it and to train it, before it is downloaded or loaded.
import { Command } from 'commander';
import { isBad, type VerifiedFile } from '../../hub/index.ts';
import { type LlamaConfig, moduleNames } from '../../models/index.ts';
import type { Precision } from '../../quant/index.ts';
import { estimateInference, estimateTraining, fullPack } from '../../runner/index.ts';
import { showAdapter } from '../adapterFacts.ts';
import { memoryForUs } from '../freeMemory.ts';
import { type ModelFacts, modelFacts } from '../modelFacts.ts';
import { bytes, type Output } from '../output.ts';
import { gigabytes } from '../planRun.ts';

interface MemoryCase {
  use: 'answer' | 'train';
  precision: Precision;
  oneCopy: boolean;
  recompute: boolean;
  pack: number | null;
  bytes: number;
  fits: boolean;
}

/** The adapter of recipes/default.yaml; others differ by a few megabytes. */
const lora = { r: 16, alpha: 32, dropout: 0, targetModules: moduleNames, useRslora: false };
/** Longest row that training is planned for, and longest text when answering. */
const longestRow = 512;
const longestText = 2048;

const kinds: readonly { precision: Precision; oneCopy: boolean }[] = [
  { precision: 'fp32', oneCopy: false },
  { precision: 'int8', oneCopy: false },
  { precision: 'int8', oneCopy: true },
  { precision: 'int4', oneCopy: false },
  { precision: 'nf4', oneCopy: false },
  { precision: 'w4a8', oneCopy: false },
];

async function memoryCases(c: LlamaConfig, limit: number): Promise<MemoryCase[]> {
  const made: MemoryCase[] = [];
  const add = (found: Omit<MemoryCase, 'fits'>) => made.push({ ...found, fits: found.bytes <= limit });
  for (const kind of kinds) {
    const positions = Math.min(longestText, c.maxPositions);
    if (!kind.oneCopy) {
      const { total } = await estimateInference(c, { ...kind, packTokens: positions, positions });
      add({ use: 'answer', ...kind, recompute: false, pack: null, bytes: total });
    }
    for (const recompute of [false, true]) {
      for (const pack of [1024, 512]) {
        const longest = Math.min(longestRow, c.maxPositions);
        const settings = { ...kind, recompute, packTokens: pack, positions: longest };
        const { total } = await estimateTraining(c, { ...settings, lora, packs: [fullPack(pack, longest)] });
        add({ use: 'train', ...kind, recompute, pack, bytes: total });
      }
    }
  }
  return made;
}

function facts(m: ModelFacts): string[] {
  const c = m.config;
  const line = (key: string, value: string) => `${key.padEnd(14)}${value}`;
  const { files } = m;
  return [
    line('model', m.name),
    line(
      'architecture',
      `${c.architecture ?? 'llama'}, ${c.layers} layers, width ${c.hiddenSize}, MLP ${c.intermediateSize}`,
    ),
    line('attention', `${c.heads} heads of ${c.headDim}, ${c.kvHeads} for keys and values`),
    line('parameters', `${m.parameters.toLocaleString('en')}${c.tiedHead ? ', head tied to the embedding' : ''}`),
    line('context', `${c.maxPositions} tokens`),
    ...(files
      ? [
          line('license', files.license ?? 'the files do not say'),
          line('files', `${bytes(files.bytes)}, ${files.storedAs.join(', ')}: ${m.path}`),
          ...files.list.map((f) => `${''.padEnd(14)}${bytes(f.actualSize ?? 0).padStart(8)}  ${f.file}${stateOf(f)}`),
          line('hashes', hashState(files)),
          line(
            'tokens',
            `${files.tokens.vocabulary}; begin ${files.tokens.bos ?? 'none'}, end ${files.tokens.eos.join(' ')}, pad ${files.tokens.pad ?? 'none'}; ` +
              `${files.tokens.chatTemplate ? 'chat template' : 'no chat template'}`,
          ),
          ...files.repairs.map((repair) => line('repaired', repair)),
          line('quantised', files.quantisedBytes ? `${bytes(files.quantisedBytes)} in the cache` : 'not yet'),
        ]
      : [line('vocabulary', `${c.vocabSize} tokens`), line('files', 'not on this machine')]),
  ];
}

const stateOf = ({ status }: VerifiedFile) => (status === 'ok' || status === 'unknown' ? '' : `  (${status})`);

function hashState({ list, hashed }: NonNullable<ModelFacts['files']>): string {
  const bad = list.filter(isBad);
  if (bad.length > 0) return `${bad.length} of ${list.length} files are damaged: huacaya verify says more`;
  const known = list.filter((f) => f.expected !== undefined).length;
  if (known === 0) return 'nobody published any that are known here';
  if (!hashed) return `lengths are right; huacaya show --verify reads all files`;
  return known === list.length
    ? 'all files are as published'
    : `${known} of ${list.length} files are as published, no hash is known of the others`;
}

/** A row a precision; a star marks what does not fit. */
function table(cases: readonly MemoryCase[], limit: number): string[] {
  const columns: readonly [string, (m: MemoryCase) => boolean][] = [
    ['answer', (m) => m.use === 'answer'],
    ['train 1024', (m) => m.use === 'train' && m.pack === 1024 && !m.recompute],
    ['train 512', (m) => m.use === 'train' && m.pack === 512 && !m.recompute],
    ['recompute 1024', (m) => m.pack === 1024 && m.recompute],
    ['recompute 512', (m) => m.pack === 512 && m.recompute],
  ];
  const rows = kinds.map(({ precision, oneCopy }) => {
    const cells = columns.map(([head, is]) => {
      const found = cases.find((m) => m.precision === precision && m.oneCopy === oneCopy && is(m));
      return (found ? `${gigabytes(found.bytes)}${found.fits ? ' ' : '*'}` : '- ').padStart(head.length + 3);
    });
    return `${(precision + (oneCopy ? ', one copy' : '')).padEnd(16)}${cells.join('')}`;
  });
  const fits = cases.some((m) => m.use === 'train' && m.fits);
  return [
    `Peak memory in GB (rows of ${longestRow} tokens; pack of 1024 or 512 tokens):`,
    `${''.padEnd(16)}${columns.map(([head]) => `${head} `.padStart(head.length + 3)).join('')}`,
    ...rows,
    `${gigabytes(limit)} GB are free here; * does not fit${fits ? '' : ': no way to train it fits'}`,
  ];
}

export function showCommand(getOutput: () => Output): Command {
  return new Command('show')
    .description('what a model or an adapter is: files and their state, license, tokens, memory to answer and to train')
    .argument(
      '<model>',
      'name or path of a model or an adapter; org/name of the hub, or the path of a config.json, before it is downloaded',
    )
    .option('--verify', 'hash the files, also when they are large')
    .addHelpText(
      'after',
      `
Nothing is downloaded but, for a model of the hub that is not here, its config.json.

Examples:
  huacaya show smollm2-135m-instruct
  huacaya show ./llama-7b/config.json
  huacaya show runs/my-run/adapter`,
    )
    .action(async (model: string, flags: { verify?: boolean }) => {
      const out = getOutput();
      if (await showAdapter(out, model)) return;
      const found = await modelFacts(model, flags.verify);
      const limit = memoryForUs();
      const cases = await memoryCases(found.config, limit);
      out.json({ ...found, freeBytes: limit, memory: cases });
      if (out.format !== 'json') out.data([...facts(found), '', ...table(cases, limit)].join('\n'));
    });
}
