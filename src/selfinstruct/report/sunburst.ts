// Two rings: verbs inside, their objects outside, both as wide as they are frequent.
import { escapeHtml } from './html.ts';
import type { VerbGroup } from './verbNoun.ts';

const [inner, middle, outer] = [70, 170, 270];
const size = 2 * outer + 20;

/** An SVG element; '' when there is nothing to draw. */
export function sunburst(groups: readonly VerbGroup[]): string {
  const shown = groups.map((g) => ({ ...g, total: g.nouns.reduce((n, o) => n + o.count, 0) }));
  const total = shown.reduce((n, g) => n + g.total, 0);
  if (total === 0) return '';
  const parts: string[] = [];
  let at = 0;
  shown.forEach((group, i) => {
    const hue = Math.round((360 * i) / shown.length);
    parts.push(
      slice(group.verb, group.total, [at / total, (at + group.total) / total], [inner, middle], `hsl(${hue} 55% 62%)`),
    );
    for (const { noun, count } of group.nouns) {
      const title = `${group.verb} ${noun}`;
      parts.push(slice(noun, count, [at / total, (at + count) / total], [middle, outer], `hsl(${hue} 55% 76%)`, title));
      at += count;
    }
  });
  const half = size / 2;
  return `<svg class="sunburst" viewBox="${-half} ${-half} ${size} ${size}" role="img" aria-label="Verbs and their objects">${parts.join('')}</svg>`;
}

type Pair = readonly [number, number];

function slice(
  label: string,
  count: number,
  [from, to]: Pair,
  [near, far]: Pair,
  color: string,
  title = label,
): string {
  // A whole circle has no arc: its ends would be one point.
  const end = Math.min(to, from + 0.99999);
  const point = (turn: number, radius: number) => {
    const angle = 2 * Math.PI * turn - Math.PI / 2;
    return `${(radius * Math.cos(angle)).toFixed(2)} ${(radius * Math.sin(angle)).toFixed(2)}`;
  };
  const large = end - from > 0.5 ? 1 : 0;
  const path =
    `M${point(from, near)}L${point(from, far)}A${far} ${far} 0 ${large} 1 ${point(end, far)}` +
    `L${point(end, near)}A${near} ${near} 0 ${large} 0 ${point(from, near)}Z`;
  const middleTurn = (from + end) / 2;
  const width = 2 * Math.PI * ((near + far) / 2) * (end - from);
  const degrees = 360 * middleTurn - 90;
  // Read from outside on the left half.
  const turned = degrees > 90 ? degrees + 180 : degrees;
  const text =
    width < 11
      ? ''
      : `<text transform="translate(${point(middleTurn, (near + far) / 2)}) rotate(${turned.toFixed(1)})">${escapeHtml(label.slice(0, 14))}</text>`;
  return `<g><title>${escapeHtml(title)}: ${count}</title><path d="${path}" fill="${color}"/>${text}</g>`;
}
