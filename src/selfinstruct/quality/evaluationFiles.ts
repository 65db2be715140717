// Evaluation sets on disk.
import { HuacayaError } from '../../base/index.ts';
import { openFile } from '../../base/node.ts';
import { type EvaluationSet, parseEvaluationSet } from './evaluationSet.ts';

/** @throws HuacayaError FILE_*, DATA_ENCODING, DATA_SYNTAX, DATA_ROW, DATA_EMPTY. */
export async function readEvaluationSet(path: string): Promise<EvaluationSet> {
  const file = await openFile(path);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await file.read(0, file.size));
  } catch (cause) {
    if (cause instanceof HuacayaError) throw cause;
    const hint = 'Save it as UTF-8. Compressed and Parquet files are not read.';
    throw new HuacayaError('DATA_ENCODING', `${path}: is not UTF-8 text`, { hint, cause });
  } finally {
    await file.close();
  }
  return parseEvaluationSet(path, text);
}
