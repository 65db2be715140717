// Which files of a repository are taken.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseFiles, type HubListing, parseListing } from '../../../src/hub/index.ts';

function listing(names: string[]): HubListing {
  const siblings = names.map((rfilename, i) => ({ rfilename, size: 1000 - i, blobId: 'b'.repeat(40) }));
  return parseListing('a/b', { sha: 'a'.repeat(40), siblings });
}
const chosen = (...names: string[]) =>
  chooseFiles('a/b', listing(names))
    .map((file) => file.name)
    .sort();

describe('chooseFiles', () => {
  it('takes shards and their index, and leaves a second copy of the weights', () => {
    expect(
      chosen(
        'model-00001-of-00002.safetensors',
        'model-00002-of-00002.safetensors',
        'model.safetensors.index.json',
        'consolidated.safetensors',
      ),
    ).toEqual(['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors', 'model.safetensors.index.json']);
  });

  it('takes an adapter', () => {
    expect(chosen('adapter_config.json', 'adapter_model.safetensors', 'optimizer.pt')).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
    ]);
  });

  it('takes nothing from folders, and no look-alikes', () => {
    expect(
      chosen(
        'model.safetensors',
        'original/model.safetensors',
        'xconfig.json',
        'config.json.py',
        'configXjson',
        'LICENSE.txt',
        'modeling_llama.py',
      ),
    ).toEqual(['LICENSE.txt', 'model.safetensors']);
  });

  it('counts a file once that is listed twice', () => {
    expect(chosen('model.safetensors', 'model.safetensors')).toEqual(['model.safetensors']);
  });

  it('orders by size, smallest first', () => {
    const sizes = chooseFiles('a/b', listing(['model.safetensors', 'config.json', 'README.md'])).map(
      (file) => file.size,
    );
    expect(sizes).toEqual([998, 999, 1000]);
  });

  it('never lets a name through that leaves its folder', () => {
    const part = fc.constantFrom('..', '.', 'a', 'model.safetensors', '', '\\', 'C:', '\0', '/');
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        const name = parts.join('/');
        let names: string[];
        try {
          names = listing([name]).names;
        } catch (error) {
          expect(error).toMatchObject({ code: 'HUB_BAD_ANSWER' });
          return;
        }
        expect(new URL(names[0]!, 'file:///base/').pathname).toBe(`/base/${name}`);
      }),
    );
  });
});
