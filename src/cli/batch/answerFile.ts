// The file that a batch's answers are appended to, each as soon as it is there. A stopped batch goes on where it was; when
// all is answered, the lines are in the order of the rows.
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { usageError } from '../../base/index.ts';
import { fileError, writeFileAtomic } from '../../base/node.ts';
import { type AnswerLine, encodeLine, isTorn, parseLine } from './answerLine.ts';

/** What is in the file, and what will be done with it. Nothing has been changed yet. */
export interface AnswerPlan {
  /** Rows that need no answer any more. */
  readonly answered: ReadonlySet<number>;
  /** Answers whose question has changed since. */
  readonly changed: number;
  /** Bytes of a torn last line that will be cut off. */
  readonly torn: number;
  open(): Promise<AnswerFile>;
}

export interface AnswerFile {
  append(line: AnswerLine): Promise<void>;
  /** Puts the lines in the order of the rows, the last answer of each; once no more come. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

export interface AnswerFileOptions {
  /** Key of the question of each row of the data, in order. */
  keys: readonly string[];
  settings: string;
  overwrite: boolean;
}

const notOurs = (path: string, line: number) =>
  usageError(
    `${path}:${line}: is no answer that \`huacaya generate\` wrote`,
    'Choose another --output, or pass --overwrite to replace the file.',
  );

/** What is in the file: the lines, and how many bytes of it are whole lines. */
function survey(path: string, text: string) {
  const lines: { row: number; key: string; settings: string; text: string }[] = [];
  let at = 0;
  while (at < text.length) {
    const newline = text.indexOf('\n', at);
    const line = newline < 0 ? text.slice(at) : text.slice(at, newline);
    const parsed = parseLine(line);
    if (!parsed) {
      if (newline < 0 && isTorn(line)) break;
      throw notOurs(path, lines.length + 1);
    }
    lines.push({ ...parsed, text: line });
    at = newline < 0 ? text.length : newline + 1;
  }
  return { lines, whole: Buffer.byteLength(text.slice(0, at)), torn: Buffer.byteLength(text.slice(at)) };
}

async function readWhole(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause) => {
    throw fileError(path, cause);
  });
}

/** @throws HuacayaError USAGE for a file that is not ours, or was written with other settings; FILE_*. */
export async function planAnswerFile(path: string, options: AnswerFileOptions): Promise<AnswerPlan> {
  const { keys, settings, overwrite } = options;
  const before = existsSync(path) && !overwrite ? await readWhole(path) : '';
  const { lines, whole, torn } = survey(path, before);
  const foreign = lines.findIndex((l) => l.settings !== settings);
  if (foreign >= 0) {
    throw usageError(
      `${path}:${foreign + 1}: was answered by another model, or with other settings`,
      'Repeat the call as it was, choose another --output, or pass --overwrite to replace the file.',
    );
  }
  const last = [...new Map(lines.map((l) => [l.row, l.key]))];
  const rowsWhere = (is: (key: string | undefined, held: string) => boolean) =>
    last.filter(([row, held]) => is(keys[row - 1], held)).map(([row]) => row);
  return {
    answered: new Set(rowsWhere((key, held) => key === held)),
    changed: rowsWhere((key, held) => key !== undefined && key !== held).length,
    torn,
    async open() {
      let handle: FileHandle;
      try {
        await mkdir(dirname(path), { recursive: true });
        if (torn > 0) await truncate(path, whole);
        handle = await open(path, overwrite ? 'w' : 'a');
        // Only the line break was missing.
        if (before !== '' && torn === 0 && !before.endsWith('\n')) await handle.writeFile('\n');
      } catch (cause) {
        throw fileError(path, cause);
      }
      const ordered = lines.every((l, i) => i === 0 || l.row > lines[i - 1]!.row);
      return writer(path, handle, { ordered, latest: lines.at(-1)?.row ?? 0 });
    },
  };
}

function writer(path: string, handle: FileHandle, state: { ordered: boolean; latest: number }): AnswerFile {
  let writing = Promise.resolve();
  return {
    append(line) {
      state.ordered &&= line.row > state.latest;
      state.latest = line.row;
      // One after the other: two writes at once could mix. After one that failed nothing can follow.
      writing = writing.then(() =>
        handle.writeFile(encodeLine(line)).catch((cause) => {
          throw fileError(path, cause);
        }),
      );
      return writing;
    },
    async finish() {
      await writing;
      if (state.ordered) return;
      const all = survey(path, await readWhole(path)).lines;
      const newest = new Map(all.map((l) => [l.row, l.text]));
      const sorted = [...newest].sort(([a], [b]) => a - b);
      await writeFileAtomic(path, sorted.map(([, text]) => `${text}\n`).join(''));
    },
    async close() {
      await writing.catch(() => {});
      await handle.close();
    },
  };
}
