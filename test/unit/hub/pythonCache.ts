// A Hugging Face cache as huggingface_hub 2.4.0 leaves it after snapshot_download: written down from a cache that it made
// (interop.test.ts compares the two when HUACAYA_TEST_PYTHON names an interpreter with the library).
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { gitSha1, sha256 } from './testHub.ts';

const isLarge = (name: string) => name.endsWith('.safetensors');

/** @param files name -> content; names that end in .safetensors are large files, as in the test hub. */
export async function pythonCache(hubCacheDir: string, repo: string, sha: string, files: Record<string, Uint8Array>) {
  const folder = `models--${repo.replace('/', '--')}`;
  const put = async (path: string, content: string | Uint8Array) => {
    await mkdir(dirname(join(hubCacheDir, path)), { recursive: true });
    await writeFile(join(hubCacheDir, path), content);
  };
  await put('CACHEDIR.TAG', 'Signature: 8a477f597d28d172789f06886806bc55\n# This file is a cache directory tag.\n');
  await put(`${folder}/refs/main`, sha);
  const tree: Record<string, object> = {};
  for (const name of Object.keys(files).sort()) {
    const bytes = files[name]!;
    const blob = isLarge(name) ? sha256(bytes) : gitSha1(bytes);
    await put(`${folder}/blobs/${blob}`, bytes);
    // Python leaves its locks behind, empty.
    await put(`.locks/${folder}/${blob}.lock`, '');
    const link = join(hubCacheDir, folder, 'snapshots', sha, name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(relative(dirname(link), join(hubCacheDir, folder, 'blobs', blob)), link);
    const pointer = gitSha1(new TextEncoder().encode(`pointer of ${name}`));
    tree[name] = isLarge(name)
      ? { size: bytes.length, blob_id: pointer, lfs_sha256: blob, lfs_size: bytes.length }
      : { size: bytes.length, blob_id: blob };
  }
  await put(`${folder}/trees/${sha}.json`, JSON.stringify({ format_version: 1, files: tree }, null, 1));
}
