// A loss curve in braille dots: each character cell is 2 x 4 dots, so 60 x 8 cells hold 120 x 32 points.

const dotBit = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
];

/** Lines of a plot of `values` over their index, with the range on the left. Empty without at least two values. */
export function lossPlot(values: readonly number[], width = 60, height = 8): string[] {
  const finite = values.filter(Number.isFinite);
  if (finite.length < 2) return [];
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const cells = Array.from({ length: height }, () => new Uint8Array(width));
  const columns = width * 2;
  const dots = height * 4;
  const at = (column: number) => (column / (columns - 1)) * (values.length - 1);
  for (let column = 0; column < columns; column++) {
    // Between two steps the line is straight.
    const x = at(column);
    const left = values[Math.floor(x)]!;
    const right = values[Math.ceil(x)]!;
    const value = left + (right - left) * (x - Math.floor(x));
    if (!Number.isFinite(value)) continue;
    const row = Math.round((1 - (value - low) / (high - low || 1)) * (dots - 1));
    cells[row >> 2]![column >> 1]! |= dotBit[row & 3]![column & 1]!;
  }
  const label = (row: number) => (row === 0 ? high.toFixed(3) : row === height - 1 ? low.toFixed(3) : '').padStart(8);
  return cells.map((line, row) => `${label(row)} ${String.fromCharCode(...Array.from(line, (c) => 0x2800 + c))}`);
}
