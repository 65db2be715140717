// The architectures of the family, a row each.
import { gemma } from './gemma.ts';
import { gemma2 } from './gemma2.ts';
import { gemma3 } from './gemma3.ts';
import { llama } from './llama.ts';
import { mistral } from './mistral.ts';
import { phi3 } from './phi3.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';
import type { Architecture, ArchitectureName } from './traits.ts';

export type { Architecture, ArchitectureName, Traits } from './traits.ts';

export const architectures: Readonly<Record<ArchitectureName, Architecture>> = {
  llama,
  mistral,
  qwen2,
  qwen3,
  phi3,
  gemma,
  gemma2,
  gemma3,
};
