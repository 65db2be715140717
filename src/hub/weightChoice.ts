// Which of a repository's weights are taken: one copy, in the best form there is, and why the others are not.
import { HuacayaError } from '../base/index.ts';

export type WeightKind = 'safetensors' | 'pytorch' | 'meta' | 'gguf' | 'adapter';

export interface WeightChoice {
  kind: WeightKind;
  /** Names of weight files and of what lists their shards. */
  names: string[];
  /** Ends the sentence "not taken: ..." for other weights of this repository. */
  instead: string;
  /** Folder that holds all of it, with a slash at the end; '' for the top. */
  folder: string;
}

/** A quantised GGUF that is small, near the original and read by everything; the first that a repository has is taken. */
const GGUF_ORDER =
  'Q4_K_M Q4_0 Q4_K_S Q4_1 Q4_K_L IQ4_NL Q5_K_M Q5_K_S Q5_0 Q5_1 Q6_K Q8_0 Q3_K_M Q3_K_L F16 BF16 F32'.split(' ');

/** @throws HuacayaError HUB_UNSUPPORTED when there are no weights that we read, or shards are missing. */
export function chooseWeights(repo: string, names: readonly string[]): WeightChoice {
  const top = names.filter((name) => !name.includes('/'));
  const found =
    safetensors(repo, top) ??
    pickled(repo, top) ??
    meta(repo, names, '') ??
    meta(repo, names, 'original/') ??
    undefined;
  const adapter = adapterOf(top);
  // Some put an adapter beside the whole model: it is small, and the only thing that makes the repository special.
  if (found && adapter) return { ...found, names: [...found.names, ...adapter.names] };
  const chosen = found ?? adapter ?? gguf(names);
  if (chosen) return chosen;
  throw nothingToRead(repo, names);
}

const isAdapter = (name: string) => /^adapter_model\.(safetensors|bin)$/.test(name);

function adapterOf(top: readonly string[]): WeightChoice | undefined {
  if (!top.includes('adapter_config.json')) return undefined;
  const weights = ['adapter_model.safetensors', 'adapter_model.bin'].find((name) => top.includes(name));
  return weights === undefined
    ? undefined
    : { kind: 'adapter', names: [weights], instead: `${weights} is taken`, folder: '' };
}

function safetensors(repo: string, top: readonly string[]): WeightChoice | undefined {
  const all = top.filter((name) => name.endsWith('.safetensors') && !isAdapter(name));
  const names =
    sharded(repo, top, 'model', 'safetensors', 'model.safetensors.index.json') ??
    // Some repositories hold the same weights twice, e.g. as consolidated.safetensors or as a variant.
    [/^model\.safetensors$/, /^model.*$/, /^(?!consolidated)/, /./]
      .map((test) => all.filter((name) => test.test(name)))
      .find((list) => list.length > 0);
  return names && { kind: 'safetensors', names, instead: 'the weights are taken as safetensors', folder: '' };
}

function pickled(repo: string, top: readonly string[]): WeightChoice | undefined {
  const names = sharded(repo, top, 'pytorch_model', 'bin', 'pytorch_model.bin.index.json');
  return names && { kind: 'pytorch', names, instead: 'the weights are taken as pytorch_model', folder: '' };
}

/** One file, or all shards with their index. A whole file wins, as in transformers. */
function sharded(
  repo: string,
  top: readonly string[],
  stem: string,
  extension: string,
  index: string,
): string[] | undefined {
  const whole = `${stem}.${extension}`;
  if (top.includes(whole)) return [whole];
  const shard = new RegExp(`^${stem}-(\\d+)-of-(\\d+)\\.${extension}$`);
  const parts = top.filter((name) => shard.test(name));
  if (parts.length === 0) return undefined;
  const of = Number(shard.exec(parts[0]!)![2]);
  const same = parts.filter((name) => Number(shard.exec(name)![2]) === of);
  checkComplete(
    repo,
    same.map((name) => Number(shard.exec(name)![1])),
    of,
    `${stem}-*-of-${shard.exec(parts[0]!)![2]}.${extension}`,
  );
  return top.includes(index) ? [...same, index] : same;
}

/** Shards count from 1, in some repositories from 0. */
function checkComplete(repo: string, numbers: readonly number[], of: number, what: string): void {
  const first = numbers.includes(0) ? 0 : 1;
  for (let n = first; n < first + of; n++) {
    if (numbers.includes(n)) continue;
    throw new HuacayaError('HUB_UNSUPPORTED', `${repo}: lacks shard ${n} of ${of} (${what})`, {
      hint: 'Whoever uploaded the model must add it; look for another copy of the model.',
    });
  }
}

/** The files that Meta gave out: consolidated.00.pth up to .07.pth, params.json, tokenizer.model. */
function meta(repo: string, names: readonly string[], folder: string): WeightChoice | undefined {
  const shard = /^consolidated\.(\d+)\.pth$/;
  const inside = names.filter((name) => name.startsWith(folder)).map((name) => name.slice(folder.length));
  const parts = inside.filter((name) => shard.test(name));
  if (parts.length === 0 || !inside.includes('params.json')) return undefined;
  const numbers = parts.map((name) => Number(shard.exec(name)![1]));
  checkComplete(repo, numbers, Math.max(...numbers) + 1, `${folder}consolidated.*.pth`);
  const also = ['params.json', 'tokenizer.model'].filter((name) => inside.includes(name));
  return {
    kind: 'meta',
    names: [...parts, ...also].map((name) => folder + name),
    instead: "the weights are taken as Meta's consolidated.*.pth",
    folder,
  };
}

/** `tiny-Q4_K_M-00001-of-00003.gguf` and its like belong together. */
const ggufPart = /-\d{5}-of-(\d{5})\.gguf$/i;

function gguf(names: readonly string[]): WeightChoice | undefined {
  const all = names.filter((name) => /\.gguf$/i.test(name) && !/mmproj|imatrix/i.test(name));
  if (all.length === 0) return undefined;
  const whole = all.filter((name) => !ggufPart.test(name));
  // Parts are a model for other programs: they are only taken when there is nothing else.
  const candidates = whole.length > 0 ? whole : all.filter((name) => /-00001-of-\d{5}\.gguf$/i.test(name));
  const has = (name: string, kind: string) => new RegExp(`(^|[^A-Za-z0-9_])${kind}([^A-Za-z0-9_]|$)`, 'i').test(name);
  const depth = (name: string) => name.split('/').length;
  const byDepth = [...candidates].sort((a, b) => depth(a) - depth(b));
  const best = GGUF_ORDER.flatMap((kind) => byDepth.filter((name) => has(name, kind)))[0] ?? byDepth[0];
  if (best === undefined) return undefined;
  const stem = best.replace(ggufPart, '');
  const chosen = ggufPart.test(best)
    ? all.filter((name) => ggufPart.test(name) && name.replace(ggufPart, '') === stem)
    : [best];
  return { kind: 'gguf', names: chosen, instead: `${best} is taken; --include names another`, folder: '' };
}

function nothingToRead(repo: string, names: readonly string[]): HuacayaError {
  const other = names.find((name) => /\.(onnx|h5|msgpack|ot|tflite|pt|pth|ckpt|bin|gguf)$/i.test(name));
  const has = other ? ` (it has ${other})` : '';
  return new HuacayaError('HUB_UNSUPPORTED', `${repo}: has no weights in a form that we read${has}`, {
    hint: 'We read safetensors, pytorch_model.bin, consolidated.*.pth and GGUF; --include PATTERN fetches any file.',
  });
}
