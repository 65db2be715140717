// What a pull would fetch of a repository, and what not and why: made from the list of files, before any byte is fetched.
import { HuacayaError } from '../base/index.ts';
import { matcher } from './fnmatch.ts';
import { COMPANIONS, type HubFile, type HubListing } from './hubFiles.ts';
import { chooseWeights, type WeightKind } from './weightChoice.ts';

export type RepoType = 'model' | 'dataset';

export interface PlanOptions {
  /** Default `model`. */
  repoType?: RepoType;
  /** Patterns of wanted files as in `hf download`; with them nothing else decides. */
  include?: readonly string[];
  /** Patterns of files that must not be fetched. */
  exclude?: readonly string[];
  /** Names that may be fetched, all at the top, `*` for any run of letters, digits, `.`, `_`, `-`: a known model's own list. */
  files?: readonly string[];
}

export interface SkippedFile {
  name: string;
  /** Bytes, when the hub gave them. */
  size?: number;
  why: string;
}

export interface FilePlan {
  /** What the weights are stored as; `files`: chosen by patterns, or a data set. */
  kind: WeightKind | 'files';
  /** To be fetched or there already, smallest first: a repository of the wrong kind is found out before its weights arrive. */
  files: HubFile[];
  skipped: SkippedFile[];
}

const BESIDE = [...COMPANIONS, 'USE_POLICY*'];
/** Only where there is no better tokenizer. */
const OLD_TOKENIZER = ['vocab.json', 'merges.txt'];
/** A GGUF file carries configuration and tokenizer itself. */
const ABOUT = ['LICENSE*', 'USE_POLICY*', 'README.md'];

/**
 * @throws HuacayaError HUB_UNSUPPORTED (no weights that we read, shards missing), HUB_BAD_ANSWER (a wanted file without
 * hash), NO_MATCH (patterns that match nothing; exit code 2).
 */
export function planFiles(repo: string, listing: HubListing, options: PlanOptions = {}): FilePlan {
  const { include, exclude = [], files, repoType = 'model' } = options;
  const why = new Map<string, string>();
  const keep = (names: readonly string[], test: (name: string) => boolean, reason: string) =>
    names.filter((name) => {
      const good = test(name);
      if (!good) why.set(name, reason);
      return good;
    });
  const excluded = matcher(exclude);
  let names = keep(listing.names, (name) => !excluded(name), 'matches --exclude');
  if (include) names = keep(names, matcher(include), 'matches no --include');
  else if (files) names = keep(names, topMatcher(files), 'is not needed');
  if (names.length === 0 && (include || exclude.length > 0)) throw noMatch(repo, listing.names, include ?? []);
  let kind: FilePlan['kind'] = 'files';
  if (!include && repoType === 'model') {
    const weights = chooseWeights(repo, names);
    kind = weights.kind;
    const hasTokenizer = names.includes('tokenizer.json') || names.includes('tokenizer.model');
    const beside = topMatcher(kind === 'gguf' ? ABOUT : hasTokenizer ? BESIDE : [...BESIDE, ...OLD_TOKENIZER]);
    names = names.filter((name) => {
      if (weights.names.includes(name) || beside(name)) return true;
      why.set(name, whyNot(name, weights.instead));
      return false;
    });
  }
  const wanted = names.map((name) => {
    const file = listing.files.get(name);
    if (file) return file;
    throw new HuacayaError('HUB_BAD_ANSWER', `${repo}: the hub gave no hash and size for ${name}`);
  });
  const skipped = [...why].map(([name, reason]): SkippedFile => {
    const size = listing.files.get(name)?.size;
    return { name, ...(size === undefined ? {} : { size }), why: reason };
  });
  return { kind, files: wanted.sort((a, b) => a.size - b.size), skipped };
}

/** The files of a model without any wishes. @throws as planFiles. */
export function chooseFiles(repo: string, listing: HubListing, files?: readonly string[]): HubFile[] {
  return planFiles(repo, listing, files ? { files } : {}).files;
}

/** Reasons by the look of the name; only what looks like weights gets `instead`. */
function whyNot(name: string, instead: string): string {
  if (/\.(onnx|onnx_data)$|(^|\/)onnx\//.test(name)) return 'ONNX is not read';
  if (/\.(h5|tflite|msgpack|ot|mlmodel|mlpackage|pb)$|\.mlpackage\/|(^|\/)(tf_|flax_)/.test(name)) {
    return 'weights for TensorFlow, Flax and others are not read';
  }
  if (/(^|\/)(optimizer|scheduler|rng_state|training_args|trainer_state|scaler)[\w.]*$|^checkpoint-\d+\//.test(name)) {
    return 'is the state of a training run';
  }
  if (/\.(safetensors|bin|pth|pt|ckpt|gguf)$|\.(safetensors|bin)\.index\.json$|^original\//i.test(name)) return instead;
  if (/\.py$/.test(name)) return 'is a program, and nothing of a repository is run';
  return 'is not needed';
}

function topMatcher(patterns: readonly string[]): (name: string) => boolean {
  const tests = patterns.map((pattern) => {
    const escaped = pattern.replace(/[.+^${}()|[\]\\?]/g, '\\$&');
    return new RegExp(`^${escaped.replaceAll('*', '[\\w.-]*')}$`);
  });
  return (name) => tests.some((test) => test.test(name));
}

function noMatch(repo: string, names: readonly string[], include: readonly string[]): HuacayaError {
  const wanted = include.length > 0 ? `matches ${include.join(' or ')}` : 'is left by --exclude';
  const some = names.slice(0, 5).join(', ');
  return new HuacayaError('NO_MATCH', `${repo}: no file ${wanted}`, {
    hint: `It has ${names.length} files, e.g. ${some}. Patterns are those of fnmatch: *.gguf, original/*`,
    exitCode: 2,
  });
}
