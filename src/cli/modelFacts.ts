// What can be said about a model without loading it: from its files, or before they are here from its configuration alone.
import { readFile, stat } from 'node:fs/promises';
import { HuacayaError } from '../base/index.ts';
import { fileError } from '../base/node.ts';
import {
  fetchConfig,
  findInCatalog,
  type HubSettings,
  listQuantised,
  resolveModel,
  type VerifiedFile,
  verifyModel,
} from '../hub/index.ts';
import { allRoles, configFromJson, expectedShape, type LlamaConfig } from '../models/index.ts';
import { openCheckpoint } from '../models/node.ts';
import { storage } from './session.ts';

export interface ModelFacts {
  name: string;
  /** Where it is; null: not on this machine. */
  path: string | null;
  config: LlamaConfig;
  parameters: number;
  /** What only its files tell. */
  files?: {
    bytes: number;
    /** Everything that came with the model, with its state: hashed, or compared by length only. */
    list: readonly VerifiedFile[];
    hashed: boolean;
    license?: string;
    storedAs: readonly string[];
    tokens: { vocabulary: number; bos: string | null; eos: string[]; pad: string | null; chatTemplate: boolean };
    /** What was wrong in the files and how it was mended. */
    repairs: readonly string[];
    /** Quantised weights in our cache that were made from a model of this name, in bytes. */
    quantisedBytes: number;
  };
}

const parametersOf = (c: LlamaConfig) =>
  [...allRoles(c)].reduce((n, role) => n + expectedShape(c, role).reduce((a, b) => a * b, 1), 0);

async function fromConfigFile(path: string): Promise<ModelFacts> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw fileError(path, cause);
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new HuacayaError('BAD_JSON', `${path}: ${(cause as Error).message}`, { cause });
  }
  const config = configFromJson(path, json);
  return { name: path, path: null, config, parameters: parametersOf(config) };
}

/** Files that are hashed without being asked: less than a second of work. */
const quicklyHashed = 512 * 2 ** 20;

async function fromFiles(model: string, path: string, where: HubSettings, verify: boolean): Promise<ModelFacts> {
  const { name, config, weights, files, storedAs, tokenizer, repairs, license } = await openCheckpoint(path);
  await weights.close();
  const sizes = await Promise.all(files.map(async (f) => (await stat(f)).size));
  const made = (await listQuantised(where.cacheDir)).filter((f) =>
    f.path.includes(`${name.replace(/[^\w.-]+/g, '_')}-`),
  );
  const total = sizes.reduce((a, b) => a + b, 0);
  const hash = verify || total <= quicklyHashed;
  const verified = await verifyModel(model, { ...where, hash });
  const known = license ?? findInCatalog(model)?.license;
  const text = (id: number) => `${tokenizer.tokenText(id)} (${id})`;
  return {
    name,
    path,
    config,
    parameters: parametersOf(config),
    files: {
      bytes: total,
      list: verified.files,
      hashed: hash,
      ...(known ? { license: known } : {}),
      storedAs,
      tokens: {
        vocabulary: tokenizer.vocabSize,
        bos: tokenizer.bosId === undefined ? null : text(tokenizer.bosId),
        eos: tokenizer.eosIds.map(text),
        pad: tokenizer.padId === undefined ? null : text(tokenizer.padId),
        chatTemplate: tokenizer.chatTemplate !== undefined,
      },
      repairs,
      quantisedBytes: made.reduce((n, f) => n + f.size, 0),
    },
  };
}

/**
 * @param model name, path, or path of a config.json.
 * @param verify hash the files, however large they are.
 * @throws HuacayaError with what to do: for a model that is neither here, nor known, nor reachable.
 */
export async function modelFacts(model: string, verify = false): Promise<ModelFacts> {
  if (model.endsWith('.json')) return fromConfigFile(model);
  const where = await storage();
  let missing: unknown;
  try {
    const { path } = await resolveModel(model, where);
    return await fromFiles(model, path, where, verify);
  } catch (e) {
    if (!(e instanceof HuacayaError && e.code === 'MODEL_NOT_FOUND')) throw e;
    missing = e;
  }
  const known = findInCatalog(model);
  const repo = known?.repo ?? (/^[\w.-]+\/[\w.-]+(@.+)?$/.test(model) ? model : undefined);
  if (!repo) throw missing;
  const json = known?.config ?? (await fetchConfig({ ...where, repo }));
  const config = configFromJson(`config.json of ${repo}`, json);
  return { name: model, path: null, config, parameters: parametersOf(config) };
}
