// Token ids to rows of the embedding, which is float32 or, where memory counts, 8 bits with a scale a row.
import {
  dequantizeRows,
  gatherRows,
  input,
  type Program,
  program,
  reshape,
  scale,
  type Value,
} from '../graph/index.ts';
import type { LlamaConfig } from '../models/index.ts';
import type { Basis } from '../quant/index.ts';

/** The views of `ResidentModel.embedding` and `index` [rows] to { rows } [rows, hidden]. */
export function embedProgram(c: LlamaConfig, basis: Basis): Program {
  const index = input('index', ['rows'], 'int64');
  const compact = basis.storage === 'oneCopy' || basis.storage === 'w4a8';
  const rows = gatherRows(input('table', ['n', c.hiddenSize], compact ? 'int8' : 'float32'), index);
  const scaled = (x: Value) => (c.embeddingScale === undefined ? x : scale(x, c.embeddingScale));
  if (!compact) return program('embed', { rows: scaled(rows) });
  const rowScale = gatherRows(input('tableScale', ['n', 1]), index);
  return program('embed', { rows: scaled(dequantizeRows(rows, reshape(rowScale, ['rows']))) });
}
