// huacaya instruct check: training rows that stand in an evaluation set too, or nearly.
import { Command } from 'commander';
import { usageError } from '../../base/index.ts';
import { writeFileAtomic } from '../../base/node.ts';
import { readRecords } from '../../data/node.ts';
import { findContamination, formatAlpacaData } from '../../selfinstruct/index.ts';
import { readEvaluationSet } from '../../selfinstruct/node.ts';
import type { Output } from '../output.ts';

export function checkCommand(getOutput: () => Output): Command {
  const command = new Command('check')
    .description('training rows that an evaluation set holds too, or nearly')
    .requiredOption('--data-path <file>', 'training data: Alpaca JSON or JSON Lines')
    .requiredOption('--against <file...>', 'evaluation sets: a JSON list of rows, or JSON Lines')
    .option('--clean <file>', 'write the rows that are left');
  return command.exitOverride().action(async () => {
    const out = getOutput();
    const { dataPath, against, clean } = command.opts<{ dataPath: string; against: string[]; clean?: string }>();
    const { records } = await readRecords(dataPath);
    const sets = await Promise.all(against.map((path) => readEvaluationSet(path)));
    if (records.length === 0) throw usageError(`${dataPath}: holds no rows`);
    const found = findContamination(records, sets);
    for (const f of found) {
      const line = records[f.index]!.line;
      out.json({ ...f, line });
      const score = f.score === undefined ? '' : ` ${f.score.toFixed(2)}`;
      if (out.format !== 'json') out.data(`${dataPath}:${line}  ${f.why}${score}  ${f.set}:${f.row}  ${f.text}`);
    }
    const bad = new Set(found.map((f) => f.index));
    if (clean !== undefined) {
      const left = records.filter((_, i) => !bad.has(i));
      await writeFileAtomic(clean, formatAlpacaData(left, false));
    }
    out.json({ type: 'done', rows: records.length, found: bad.size, ...(clean === undefined ? {} : { clean }) });
    out.say(
      `${bad.size} of ${records.length} rows${clean === undefined || bad.size === 0 ? '' : `; the others: ${clean}`}`,
    );
  });
}
