// Counters, gauges and histograms in Prometheus' text format:
// https://prometheus.io/docs/instrumenting/exposition_formats/ - a dozen figures need no library.

type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(amount: number, labels?: Labels): void;
}
export interface Histogram {
  observe(seconds: number, labels?: Labels): void;
}

export interface Metrics {
  counter(name: string, help: string): Counter;
  histogram(name: string, help: string, bounds: readonly number[]): Histogram;
  /** Read when somebody asks. */
  read(name: string, help: string, type: 'gauge' | 'counter', value: () => number | undefined, labels?: Labels): void;
  text(): string;
}

const escaped = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
const labelText = (labels: Labels) => {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length > 0 ? `{${pairs.join(',')}}` : '';
};

export function createMetrics(): Metrics {
  const families: { name: string; help: string; type: string; lines(): string[] }[] = [];
  return {
    counter(name, help) {
      const totals = new Map<string, number>();
      families.push({ name, help, type: 'counter', lines: () => [...totals].map(([l, n]) => `${name}${l} ${n}`) });
      return {
        add(amount, labels = {}) {
          const key = labelText(labels);
          totals.set(key, (totals.get(key) ?? 0) + amount);
        },
      };
    },
    histogram(name, help, bounds) {
      const rows = new Map<string, { labels: Labels; counts: number[]; sum: number; count: number }>();
      const lines = () =>
        [...rows.values()].flatMap(({ labels, counts, sum, count }) => [
          ...bounds.map((le, i) => `${name}_bucket${labelText({ ...labels, le: String(le) })} ${counts[i]}`),
          `${name}_bucket${labelText({ ...labels, le: '+Inf' })} ${count}`,
          `${name}_sum${labelText(labels)} ${sum}`,
          `${name}_count${labelText(labels)} ${count}`,
        ]);
      families.push({ name, help, type: 'histogram', lines });
      return {
        observe(value, labels = {}) {
          const key = labelText(labels);
          const row = rows.get(key) ?? { labels, counts: bounds.map(() => 0), sum: 0, count: 0 };
          rows.set(key, row);
          for (const [i, bound] of bounds.entries()) if (value <= bound) row.counts[i]!++;
          row.sum += value;
          row.count++;
        },
      };
    },
    read(name, help, type, value, labels = {}) {
      const lines = () => {
        const now = value();
        return now === undefined ? [] : [`${name}${labelText(labels)} ${now}`];
      };
      families.push({ name, help, type, lines });
    },
    text: () =>
      families
        .flatMap(({ name, help, type, lines }) => [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines()])
        .map((line) => `${line}\n`)
        .join(''),
  };
}
