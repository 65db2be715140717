// From logits to what decoding looks at: a few candidates of each row and how much lies beside them. Everything that the host
// needs of a row comes in one piece: k logits, k ids, and ln of the mass.
import {
  adjustLogits,
  concat,
  input,
  logSumExp,
  mul,
  type Program,
  program,
  split,
  sub,
  toFloat,
  topK,
  type Value,
} from '../graph/index.ts';

/**
 * logits [rows, vocab] to `best` [rows, 2k], or [rows, 2k + 1] with `mass`: the k largest logits, falling, their ids, and ln
 * of the sum over the row of exp((logit - largest) / temperature), for `inverse` [rows, 1], 1 / temperature.
 */
export function pickProgram(vocab: number, k: number, mass: boolean): Program {
  const logits = input('logits', ['rows', vocab]);
  const { values, indices } = topK(logits, k);
  const parts: Value[] = [values, toFloat(indices)];
  if (mass) {
    const [largest] = split(values, k > 1 ? [1, k - 1] : [1]) as [Value];
    parts.push(logSumExp(mul(sub(logits, largest), input('inverse', ['rows', 1]))));
  }
  return program(`pick.${k}${mass ? '.mass' : ''}`, { best: concat(parts, 1) });
}

/** logits [rows, vocab] and for each row a list of changes [rows, changes] to `adjusted` [rows, vocab]. */
export function adjustProgram(vocab: number): Program {
  const list = (name: string) => input(name, ['rows', 'changes']);
  const ids = input('ids', ['rows', 'changes'], 'int64');
  const adjusted = adjustLogits(input('logits', ['rows', vocab]), ids, list('repetition'), list('more'));
  return program('adjust', { adjusted });
}
