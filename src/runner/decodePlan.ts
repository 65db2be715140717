// Which bodies a precision generates with, on a machine whose kernels may not all be right.
import type { BodyKind } from './decodeBody.ts';
import type { NBitsHealth } from './nBitsProbe.ts';

export interface KernelHealth {
  bits4: NBitsHealth;
  bits8: NBitsHealth;
  /** Whether 8-bit products of many rows are (`int8IsExact`). */
  rows8: boolean;
}

export interface DecodePlan {
  /** For few rows and for many; `float`: the model as it is. */
  narrow: BodyKind;
  wide: BodyKind;
  /** Rows go through the kernels for 4 and 8 bits in pairs, never alone. */
  paired: boolean;
  /** What the user should know: it is not what was asked for, or slower. */
  warning?: string;
}

const float: DecodePlan = {
  narrow: 'float',
  wide: 'float',
  paired: false,
  warning: "this processor's kernels for weights in 8 bits are wrong: using fp32",
};

/** In int8 all rows are pairs anyway (see `fine` in `nBitsLinear`); every body has its head in 8 bits. */
export function planBodies(precision: 'int4' | 'int8', { bits4, bits8, rows8 }: KernelHealth): DecodePlan {
  if (!bits8.several) return float;
  const int8: DecodePlan = { narrow: 'bits8', wide: 'bits8', paired: false };
  if (precision === 'int8') return int8;
  if (bits4.several) {
    const paired = !(bits4.one && bits8.one);
    const slower = 'for a single row are wrong (microsoft/onnxruntime#29853): rows go in pairs, which takes longer';
    const warning = `int4: this processor's kernels ${slower}`;
    return { narrow: 'bits4', wide: rows8 ? 'rows8' : 'bits4', paired, ...(paired ? { warning } : {}) };
  }
  const wrong = "int4: this processor's kernels for weights in 4 bits are wrong";
  if (!rows8) return { ...int8, warning: `${wrong}: using int8` };
  return { narrow: 'rows8', wide: 'rows8', paired: !bits8.one, warning: `${wrong}: computing in 8 bits` };
}
