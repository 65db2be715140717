// Opens one file of weights, and says what it is where it is none: a clone without git-lfs has pointers, a failed download a page.
import { type ByteSource, HuacayaError } from '../base/index.ts';
import { openFile } from '../base/node.ts';

/** A pointer has about 130 bytes. */
const startBytes = 64;

/** @throws HuacayaError FILE_NOT_FOUND, FILE_UNREADABLE, NOT_WEIGHTS. */
export async function openWeightFile(path: string): Promise<ByteSource> {
  const source = await openFile(path);
  try {
    const start = new TextDecoder('latin1').decode(await source.read(0, Math.min(startBytes, source.size)));
    const why = notWeights(start);
    if (!why) return source;
    throw new HuacayaError('NOT_WEIGHTS', `${path}: ${why[0]}`, { hint: why[1] });
  } catch (error) {
    await source.close();
    throw error;
  }
}

function notWeights(start: string): [what: string, hint: string] | undefined {
  if (start === '') return ['is empty', 'Download it again.'];
  if (start.startsWith('version https://git-lfs.github.com/spec/')) {
    return [
      'is a Git LFS pointer of some 130 bytes, not the file itself',
      'Run git lfs pull in that folder, or use huacaya pull.',
    ];
  }
  if (/^\s*<(!doctype|html|\?xml)/i.test(start)) {
    return ['is a web page, not weights', 'The download gave an error page: use huacaya pull.'];
  }
  return undefined;
}
