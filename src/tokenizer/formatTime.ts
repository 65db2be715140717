// strftime for chat templates, English names as in the C locale. Local time, as Python's datetime.now().

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

const two = (n: number) => String(n).padStart(2, '0');

const FIELDS: Readonly<Record<string, (time: Date) => string>> = {
  Y: (t) => String(t.getFullYear()),
  y: (t) => two(t.getFullYear() % 100),
  m: (t) => two(t.getMonth() + 1),
  B: (t) => MONTHS[t.getMonth()]!,
  b: (t) => MONTHS[t.getMonth()]!.slice(0, 3),
  d: (t) => two(t.getDate()),
  A: (t) => DAYS[t.getDay()]!,
  a: (t) => DAYS[t.getDay()]!.slice(0, 3),
  H: (t) => two(t.getHours()),
  I: (t) => two(t.getHours() % 12 || 12),
  p: (t) => (t.getHours() < 12 ? 'AM' : 'PM'),
  M: (t) => two(t.getMinutes()),
  S: (t) => two(t.getSeconds()),
  '%': () => '%',
};

/** '%d %b %Y' -> '05 Mar 2024'; unknown fields stay as they are. */
export function formatTime(time: Date, format: string): string {
  return format.replace(/%(.)/g, (field, letter: string) =>
    Object.hasOwn(FIELDS, letter) ? FIELDS[letter]!(time) : field,
  );
}
