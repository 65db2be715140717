// A base model that is gone from the hub: what is here with the same configuration is named.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { openModel } from '../../../src/assistant/models.ts';
import { temporaryFolder } from '../../helpers/tinyModel.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const llama7b = {
  model_type: 'llama',
  hidden_size: 4096,
  intermediate_size: 11008,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  vocab_size: 32000,
  rms_norm_eps: 1e-6,
  max_position_embeddings: 2048,
};

function cached(name: string, config: object) {
  const repo = join(folder.path, 'hub', `models--mine--${name}`);
  const sha = '0'.repeat(40);
  mkdirSync(join(repo, 'refs'), { recursive: true });
  mkdirSync(join(repo, 'snapshots', sha), { recursive: true });
  writeFileSync(join(repo, 'refs', 'main'), sha);
  writeFileSync(join(repo, 'snapshots', sha, 'config.json'), JSON.stringify(config));
}

it('names models of the same configuration, and no others', async () => {
  cached('copy', llama7b);
  cached('wider', { ...llama7b, hidden_size: 5120, num_attention_heads: 40 });
  cached('other-kind', { ...llama7b, model_type: 'qwen2' });
  cached('broken', []);
  const where = { cacheDir: join(folder.path, 'cache'), hubCacheDir: join(folder.path, 'hub') };
  await expect(openModel('decapoda-research/llama-7b-hf', where)).rejects.toMatchObject({
    code: 'MODEL_NOT_FOUND',
    hint: expect.stringMatching(/huggyllama\/llama-7b.*Of the same shape and on this machine: mine\/copy$/),
  });
  await expect(openModel('decapoda-research/llama-13b-hf', where)).rejects.toMatchObject({
    hint: expect.not.stringContaining('Of the same shape'),
  });
});
