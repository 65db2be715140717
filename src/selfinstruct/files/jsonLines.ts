// JSON Lines that another program may still have been writing when it was killed.
import { HuacayaError } from '../../base/index.ts';

export interface JsonLine {
  /** 1-based. */
  line: number;
  value: Record<string, unknown>;
}

/**
 * Rows of a file of objects, one a line. A last line without its line break that does not parse was torn and is left out.
 * @throws HuacayaError DATA_SYNTAX with file and line.
 */
export function parseJsonLines(name: string, text: string): JsonLine[] {
  const rows: JsonLine[] = [];
  const lines = text.replace(/^\ufeff/, '').split('\n');
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      if (i === lines.length - 1 && rows.length > 0) break;
      throw new HuacayaError('DATA_SYNTAX', `${name}:${i + 1}: is not JSON`, {
        hint: 'Every line of this file holds one JSON object.',
        cause,
      });
    }
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      throw new HuacayaError('DATA_ROW', `${name}:${i + 1}: a row must be an object`);
    }
    rows.push({ line: i + 1, value: value as Record<string, unknown> });
  }
  return rows;
}
