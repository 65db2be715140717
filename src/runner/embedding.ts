// Token ids to rows of the embedding, which is float32 or, where memory counts, 8 bits with a scale a row.
import { dequantizeRows, gatherRows, input, type Program, program, reshape } from '../graph/index.ts';
import type { LlamaConfig } from '../models/index.ts';
import type { Basis } from '../quant/index.ts';

/** The views of `ResidentModel.embedding` and `index` [rows] to { rows } [rows, hidden]. */
export function embedProgram(c: LlamaConfig, basis: Basis): Program {
  const index = input('index', ['rows'], 'int64');
  const compact = basis.storage === 'oneCopy' || basis.storage === 'w4a8';
  const rows = gatherRows(input('table', ['n', c.hiddenSize], compact ? 'int8' : 'float32'), index);
  if (!compact) return program('embed', { rows });
  const scale = gatherRows(input('tableScale', ['n', 1]), index);
  return program('embed', { rows: dequantizeRows(rows, reshape(scale, ['rows'])) });
}
