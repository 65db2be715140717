// Opens a folder in Meta's own layout: params.json, consolidated.00.pth to .NN.pth, and tokenizer.model in it or beside it.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import { openFile } from '../base/node.ts';
import { openTorchFile, type TensorFile } from '../formats/index.ts';
import { type Checkpoint, readJson, storedAs } from './checkpointParts.ts';
import { licenseOf } from './license.ts';
import { configFromMeta, metaParams } from './metaConfig.ts';
import { checkNorms } from './metaShards.ts';
import { joinMeta } from './metaWeights.ts';
import { openFolderTokenizer } from './openFolderTokenizer.ts';
import { openWeightFile } from './openWeightFile.ts';

const paramsFile = 'params.json';
const shardName = /^consolidated\.(\d\d)\.pth$/;

/** Whether a path is such a folder, whole or not. */
export function isMetaFolder(path: string): boolean {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return false;
  return existsSync(join(path, paramsFile)) || readdirSync(path).some((name) => shardName.test(name));
}

/** @throws HuacayaError with the file and what is wrong with it; names and shapes of all weights are checked here. */
export async function openMetaFolder(folder: string): Promise<Checkpoint> {
  const repairs: string[] = [];
  const paramsPath = join(folder, paramsFile);
  const params = await readJson(paramsPath);
  const { dim, n_heads, head_dim } = metaParams(paramsPath, params);
  const paths = shardPaths(folder);
  const shards: TensorFile[] = [];
  try {
    for (const path of paths) shards.push(await openTorchFile(await openWeightFile(path)));
    const attention = typeof head_dim === 'number' ? head_dim * n_heads : dim;
    const meta = joinMeta(folder, shards, { dim, attention });
    await checkNorms(shards);
    const rows = (tensor: string) => meta.joined.get(tensor)?.shape[0] ?? 0;
    const sizes = {
      vocabSize: rows('tok_embeddings.weight'),
      intermediateSize: rows('layers.0.feed_forward.w1.weight'),
      tiedHead: !meta.joined.has('output.weight'),
    };
    const config = configFromMeta(paramsPath, params, sizes, repairs);
    const weights = meta.weights(config);
    const tokenizer = await openFolderTokenizer(
      await tokenizerFolder(folder),
      { config: undefined, vocabSize: config.vocabSize },
      repairs,
    );
    const license = await licenseOf(folder);
    return {
      path: folder,
      name: nameOf(folder),
      config,
      weights,
      files: [paramsPath, ...paths],
      tokenizer,
      storedAs: storedAs(meta.joined),
      repairs: [...repairs, ...tokenizer.repairs],
      ...(license ? { license } : {}),
    };
  } catch (e) {
    await Promise.all(shards.map((shard) => shard.close()));
    throw e;
  }
}

/** The shards in order. @throws HuacayaError MISSING_SHARD for a gap in their numbers; more is told by the tensors. */
function shardPaths(folder: string): string[] {
  const names = readdirSync(folder)
    .filter((name) => shardName.test(name))
    .sort();
  const gap = names.findIndex((name, i) => Number(shardName.exec(name)![1]) !== i);
  if (names.length > 0 && gap < 0) return names.map((name) => join(folder, name));
  const missing = `consolidated.${String(Math.max(gap, 0)).padStart(2, '0')}.pth`;
  throw new HuacayaError('MISSING_SHARD', `${folder}: has no ${missing}`, {
    hint: 'Download it into the same folder; all shards are needed.',
  });
}

/**
 * LLaMA 1 and 2 came as one tokenizer.model for a folder of models. Llama 3 has a tiktoken vocabulary under that name, and
 * its tokenizer.json one level up.
 */
async function tokenizerFolder(folder: string): Promise<string> {
  const parent = dirname(resolve(folder));
  const has = (path: string, name: string) => existsSync(join(path, name));
  if (has(folder, 'tokenizer.json')) return folder;
  const own = has(folder, 'tokenizer.model');
  if (own && !(has(parent, 'tokenizer.json') && (await isTiktoken(join(folder, 'tokenizer.model'))))) return folder;
  return has(parent, 'tokenizer.json') || has(parent, 'tokenizer.model') ? parent : folder;
}

/** Lines of base64 and a number. */
async function isTiktoken(path: string): Promise<boolean> {
  const source = await openFile(path);
  try {
    const start = new TextDecoder('latin1').decode(await source.read(0, Math.min(200, source.size)));
    return /^[A-Za-z0-9+/]+=* \d+\r?\n/.test(start);
  } finally {
    await source.close();
  }
}

/** `original` is what Hugging Face's repositories call the folder of Meta's files. */
function nameOf(folder: string): string {
  const own = basename(resolve(folder));
  return own === 'original' ? basename(dirname(resolve(folder))) : own;
}
