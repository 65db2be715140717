// Small pictures without a library: columns for how often, a line for how it went.
import { escapeHtml } from './html.ts';

const [width, height, bottom] = [520, 150, 18];

/**
 * A histogram of non-negative numbers in `columns` classes of equal width; what lies above the 99th percentile counts
 * in the last class.
 */
export function histogram(values: readonly number[], label: string, columns = 30): string {
  if (values.length === 0) return '';
  const sorted = [...values].sort((a, b) => a - b);
  const top = Math.max(sorted[Math.floor(0.99 * (sorted.length - 1))]!, Number.MIN_VALUE);
  const counts = new Array<number>(columns).fill(0);
  for (const v of values) counts[Math.min(columns - 1, Math.floor((v / top) * columns))]! += 1;
  const most = Math.max(...counts);
  const w = width / columns;
  const bars = counts.map((n, i) => {
    const h = (n / most) * height;
    const range = `${short((i * top) / columns)} to ${short(((i + 1) * top) / columns)}: ${n}`;
    return `<rect x="${(i * w).toFixed(1)}" y="${(height - h).toFixed(1)}" width="${(w - 1).toFixed(1)}" height="${h.toFixed(1)}"><title>${range}</title></rect>`;
  });
  const median = sorted[Math.floor(sorted.length / 2)]!;
  return chart(bars.join(''), [`0`, `${label}, median ${short(median)}`, short(top)]);
}

/** A line through values from left to right, from 0 at the bottom to `top`. */
export function line(values: readonly number[], label: string, top: number): string {
  if (values.length < 2) return '';
  const points = values.map((v, i) => {
    const x = (i / (values.length - 1)) * width;
    return `${x.toFixed(1)},${(height - (Math.min(v, top) / top) * height).toFixed(1)}`;
  });
  const last = short(values.at(-1)!);
  return chart(`<polyline points="${points.join(' ')}"/>`, ['', `${label}, at the end ${last}`, '']);
}

function chart(inside: string, [left, middle, right]: readonly [string, string, string]): string {
  const text = (x: number, anchor: string, value: string) =>
    `<text x="${x}" y="${height + 14}" text-anchor="${anchor}">${escapeHtml(value)}</text>`;
  return (
    `<svg class="chart" viewBox="0 0 ${width} ${height + bottom}" role="img" aria-label="${escapeHtml(middle)}">${inside}` +
    `${text(0, 'start', left)}${text(width / 2, 'middle', middle)}${text(width, 'end', right)}</svg>`
  );
}

export const short = (value: number): string => String(Number(value.toPrecision(3)));
