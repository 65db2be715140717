// What a run brought, as one page without scripts or outside files: what is asked for, how long, how alike, at what cost.
import type { RequestHistory } from '../pipelines/pipeline.ts';
import type { Accepted } from '../task.ts';
import { histogram, line, short } from './charts.ts';
import { escapeHtml, table } from './html.ts';
import { sunburst } from './sunburst.ts';

export interface ReportData {
  title: string;
  /** BCP 47; verbs and objects are found in English only. */
  language: string;
  accepted: readonly Accepted[];
  history: readonly RequestHistory[];
  /** E.g. $; '' where the recipe has no prices. */
  currency?: string;
}

/** Answers whose rates are averaged for a point of the line. */
const points = 60;

/** The same data gives the same page. */
export async function reportPage(data: ReportData): Promise<string> {
  const { accepted, history } = data;
  const sum = (pick: (h: RequestHistory) => number) => history.reduce((n, h) => n + pick(h), 0);
  const rejected = new Map<string, number>();
  for (const h of history) {
    for (const [reason, n] of Object.entries(h.rejected)) rejected.set(reason, (rejected.get(reason) ?? 0) + n);
  }
  const refused = [...rejected.values()].reduce((a, b) => a + b, 0);
  const taken = sum((h) => h.accepted);
  const cost = sum((h) => h.cost);
  const money = (value: number) => `${data.currency ?? ''}${value.toFixed(value < 1 ? 4 : 2)}`;
  const facts: [string, string][] = [
    ['Tasks', accepted.length.toLocaleString('en')],
    ['With an input', share(accepted.filter((t) => t.input !== '').length, accepted.length)],
    ['Answers of the teacher', history.length.toLocaleString('en')],
    ['Taken of what they held', share(taken, taken + refused)],
    [
      'Tokens',
      `${sum((h) => h.promptTokens).toLocaleString('en')} in, ${sum((h) => h.completionTokens).toLocaleString('en')} out`,
    ],
    ['Cost', `${money(cost)}${taken > 0 ? `, ${money((1000 * cost) / taken)} a thousand tasks` : ''}`],
  ];
  const language = data.language.split('-')[0];
  // Loaded late: the tagger takes longer than the rest of the command line.
  const { verbGroups } = await import('./verbNoun.ts');
  const groups = language === 'en' ? verbGroups(accepted.map((t) => t.instruction)) : [];
  const sections = [
    ['', table(['', ''], facts)],
    ['Verbs and what they are about', sunburst(groups)],
    ['Why candidates were not taken', refused > 0 ? reasons(rejected, refused) : ''],
    ['Share taken, answer by answer', line(rates(history), 'share of an answer that was taken', 1)],
    ['Lengths', lengths(accepted)],
    ['How alike tasks are', alike(accepted)],
    ['Cost so far', cost > 0 ? line(running(history), 'cost', cost) : ''],
  ];
  const body = sections
    .filter(([, content]) => content !== '')
    .map(([head, content]) => `${head === '' ? '' : `<h2>${head}</h2>`}\n${content}`)
    .join('\n');
  return page(data.title, data.language, body);
}

const share = (part: number, whole: number) => (whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`);

function reasons(rejected: ReadonlyMap<string, number>, total: number): string {
  const rows = [...rejected].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  return table(
    ['reason', 'candidates', 'share'],
    rows.map(([reason, n]) => [reason.replaceAll('_', ' '), n, share(n, total)]),
  );
}

function rates(history: readonly RequestHistory[]): number[] {
  const group = Math.max(1, Math.ceil(history.length / points));
  const result: number[] = [];
  for (let i = 0; i < history.length; i += group) {
    const part = history.slice(i, i + group);
    const taken = part.reduce((n, h) => n + h.accepted, 0);
    const all = part.reduce((n, h) => n + Object.values(h.rejected).reduce((a, b) => a + b, h.accepted), 0);
    result.push(all === 0 ? 0 : taken / all);
  }
  return result;
}

function running(history: readonly RequestHistory[]): number[] {
  let cost = 0;
  return history.map((h) => (cost += h.cost));
}

function lengths(accepted: readonly Accepted[]): string {
  const inputs = accepted.filter((t) => t.input !== '');
  return [
    histogram(
      accepted.map((t) => t.instruction.length),
      'characters of the instruction',
    ),
    histogram(
      inputs.map((t) => t.input.length),
      'characters of the input, where there is one',
    ),
    histogram(
      accepted.map((t) => t.output.length),
      'characters of the output',
    ),
  ].join('');
}

function alike(accepted: readonly Accepted[]): string {
  const known = accepted.filter((t) => t.nearest.length > 0);
  if (known.length === 0) return '';
  const pairs = [...known].sort((a, b) => b.nearest[0]!.score - a.nearest[0]!.score);
  const sample = [
    ...pairs.slice(0, 10),
    ...pairs.slice(10).filter((_, i, rest) => i % Math.ceil(rest.length / 10) === 0),
  ];
  return (
    histogram(
      known.map((t) => t.nearest[0]!.score),
      'similarity to the nearest that was there before',
    ) +
    table(
      ['similarity', 'task', 'nearest'],
      sample.map((t) => [short(t.nearest[0]!.score), t.instruction, t.nearest[0]!.text]),
    )
  );
}

function page(title: string, language: string, body: string): string {
  return `<!doctype html>
<html lang="${escapeHtml(language)}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #8884; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
svg.chart { width: 100%; max-width: 40rem; display: block; margin: 1rem 0; }
svg.chart rect { fill: #7a9; }
svg.chart polyline { fill: none; stroke: #7a9; stroke-width: 2; }
svg text { fill: currentColor; font-size: 12px; }
svg.sunburst { width: 100%; max-width: 44rem; }
svg.sunburst path { stroke: #fff; }
svg.sunburst text { fill: #222; font-size: 11px; text-anchor: middle; dominant-baseline: central; }
</style>
<h1>${escapeHtml(title)}</h1>
${body}
</html>
`;
}
