// JSON exactly as Python's json.dumps writes it, so that files of the original scripts can be continued and compared.

/** A number that Python holds as a float: 1 is written 1.0. */
export class PyFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export interface PythonJsonOptions {
  /** As `indent=`; without it everything stands on one line with ", " and ": ". */
  indent?: number;
  /** As `ensure_ascii=` (Python's default is true): other characters as \uXXXX. */
  ascii?: boolean;
}

/** repr() of a Python float: the same shortest digits as JavaScript, other rules for exponents. */
export function floatRepr(x: number): string {
  if (Number.isNaN(x)) return 'NaN';
  if (!Number.isFinite(x)) return x > 0 ? 'Infinity' : '-Infinity';
  if (Object.is(x, -0)) return '-0.0';
  const size = Math.abs(x);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [digits, exponent] = x.toExponential().split('e') as [string, string];
    return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
  }
  const text = String(x);
  return /[.]/.test(text) ? text : `${text}.0`;
}

function quote(text: string, ascii: boolean): string {
  // JSON.stringify writes lone surrogates as \udXXX, as Python does with ensure_ascii.
  const quoted = JSON.stringify(text);
  if (!ascii) return quoted;
  return quoted.replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** @param value strings, numbers (as int), PyFloat, booleans, null, arrays, maps and plain objects; undefined keys are left out. */
export function pythonJson(value: unknown, { indent, ascii = true }: PythonJsonOptions = {}): string {
  const write = (v: unknown, depth: number): string => {
    if (v === null || v === undefined) return 'null';
    if (typeof v === 'string') return quote(v, ascii);
    if (typeof v === 'boolean') return String(v);
    if (v instanceof PyFloat) return floatRepr(v.value);
    if (typeof v === 'number') return Number.isInteger(v) ? String(v) : floatRepr(v);
    const list = Array.isArray(v);
    const entries = v instanceof Map ? [...v] : Object.entries(v as object);
    const items = list
      ? v.map((item) => write(item, depth + 1))
      : entries
          .filter(([, item]) => item !== undefined)
          .map(([key, item]) => `${quote(String(key), ascii)}: ${write(item, depth + 1)}`);
    const [open, close] = list ? ['[', ']'] : ['{', '}'];
    if (items.length === 0) return open + close;
    if (indent === undefined) return open + items.join(', ') + close;
    const pad = `\n${' '.repeat(indent * (depth + 1))}`;
    return `${open + pad + items.join(`,${pad}`)}\n${' '.repeat(indent * depth)}${close}`;
  };
  return write(value, 0);
}
