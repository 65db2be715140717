// Reads instruction data: a JSON list of rows (the Alpaca file format) or JSON Lines, told apart by content.
import { HuacayaError } from '../base/index.ts';
import { JsonProblem, scanValue, skipSpace } from './jsonScan.ts';
import { type AlpacaRecord, type RecordOptions, toRecord } from './record.ts';

const BOM = 0xfeff;

/**
 * @param name of the file, for messages.
 * @throws HuacayaError DATA_SYNTAX (file:line and what was expected), DATA_ROW (a row of the wrong shape), DATA_EMPTY.
 */
export function parseRecords(name: string, text: string, options: RecordOptions = {}): { records: AlpacaRecord[] } {
  if (text.charCodeAt(0) === BOM) text = text.slice(1);
  const start = skipSpace(text, 0);
  const records = text[start] === '[' ? parseList(name, text, start, options) : parseLines(name, text, options);
  if (records.length === 0) {
    throw new HuacayaError('DATA_EMPTY', `${name}: holds no rows`, {
      hint: 'A data file is a JSON list of rows, or JSON Lines with one row a line.',
    });
  }
  return { records };
}

/** Counts lines as it is asked about growing offsets: one pass over the text in all. */
function lineCounter(text: string): (offset: number) => number {
  let line = 1;
  let next = text.indexOf('\n');
  return (offset) => {
    while (next !== -1 && next < offset) {
      line++;
      next = text.indexOf('\n', next + 1);
    }
    return line;
  };
}

function parseList(name: string, text: string, open: number, options: RecordOptions): AlpacaRecord[] {
  const records: AlpacaRecord[] = [];
  const lineAt = lineCounter(text);
  const listLine = lineAt(open);
  try {
    let at = skipSpace(text, open + 1);
    let more = text[at] !== ']';
    while (more) {
      const line = lineAt(at);
      const end = scanValue(text, at);
      records.push(toRecord(name, line, JSON.parse(text.slice(at, end)), options));
      at = skipSpace(text, end);
      more = text[at] === ',';
      if (more) at = skipSpace(text, at + 1);
      else if (text[at] !== ']') {
        throw new JsonProblem(
          at,
          `"," before the next row or "]" at the end of the list that starts in line ${listLine}`,
        );
      }
    }
    const after = skipSpace(text, at + 1);
    if (after < text.length) throw new JsonProblem(after, 'nothing after the "]" of the list');
    return records;
  } catch (error) {
    throw syntaxError(name, text, error, lineAt, 'end of the file');
  }
}

function parseLines(name: string, text: string, options: RecordOptions): AlpacaRecord[] {
  const records: AlpacaRecord[] = [];
  const lineAt = lineCounter(text);
  for (let from = 0; from < text.length; ) {
    const newline = text.indexOf('\n', from);
    const to = newline === -1 ? text.length : newline;
    const row = text.slice(from, to);
    const at = skipSpace(row, 0);
    if (at < row.length) {
      const line = lineAt(from);
      try {
        if (records.length === 0 && row[at] !== '{') {
          throw new JsonProblem(at, '"[" (a list of rows) or "{" (JSON Lines)');
        }
        const end = scanValue(row, at);
        const after = skipSpace(row, end);
        if (after < row.length) throw new JsonProblem(after, 'a line break after the row');
        records.push(toRecord(name, line, JSON.parse(row.slice(at, end)), options));
      } catch (error) {
        throw syntaxError(name, row, error, () => line, 'end of the line');
      }
    }
    from = to + 1;
  }
  return records;
}

/** `file:line:column: broken JSON: expected X, found Y`; any other error passes through unchanged. */
function syntaxError(
  name: string,
  text: string,
  error: unknown,
  lineAt: (offset: number) => number,
  endName: string,
): unknown {
  if (!(error instanceof JsonProblem)) return error;
  const { offset, expected } = error;
  const column = offset - text.lastIndexOf('\n', offset - 1);
  const inLines = endName === 'end of the line';
  let hint = 'Strings and keys are in double quotes; a " inside a string is written \\"; no comma after the last item.';
  let found = JSON.stringify(String.fromCodePoint(text.codePointAt(offset) ?? 0));
  if (offset >= text.length || (text[offset] === '\r' && skipSpace(text, offset) >= text.length)) {
    found = `the ${endName}`;
    hint = inLines
      ? 'In JSON Lines every row stands on one line; rows that span lines must be in one list: [ {...}, {...} ].'
      : 'The file is cut short: write or copy it again.';
  } else if (text[offset] === '\n' || text[offset] === '\r') {
    found = 'a line break';
  } else if (inLines && text[offset] === ',') {
    hint = 'JSON Lines has no commas between rows; with commas, put all rows in one list: [ {...}, {...} ].';
  }
  return new HuacayaError(
    'DATA_SYNTAX',
    `${name}:${lineAt(offset)}:${column}: broken JSON: expected ${expected}, found ${found}`,
    { hint, cause: error },
  );
}
