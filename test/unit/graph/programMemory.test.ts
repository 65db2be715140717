import { describe, expect, it } from 'vitest';
import {
  add,
  input,
  int8Linear,
  matmul,
  mul,
  program,
  programMemory,
  reshape,
  symbolSizes,
} from '../../../src/graph/index.ts';

const x = input('x', ['rows', 10]);

describe('programMemory', () => {
  it('counts neither inputs nor outputs', () => {
    expect(programMemory(program('p', { y: add(x, x) }), { rows: 5 })).toBe(0);
  });

  it('counts what lives at the same time, and not what came before', () => {
    const row = 4 * 10 * 5;
    const two = mul(add(x, x), add(x, x));
    expect(programMemory(program('p', { y: two }), { rows: 5 })).toBe(2 * row);
    // A chain: the one that is made and the one that it is made of.
    let chain = add(x, x);
    for (let i = 0; i < 5; i++) chain = add(chain, x);
    expect(programMemory(program('p', { y: chain }), { rows: 5 })).toBe(2 * row);
  });

  it('takes a reshape for the same memory', () => {
    const turned = reshape(reshape(add(x, x), ['rows', 5, 2]), ['rows', 10]);
    expect(programMemory(program('p', { y: add(turned, x) }), { rows: 5 })).toBe(4 * 10 * 5);
  });

  it('counts the codes inside of a quantised product', () => {
    const y = int8Linear(x, { w: input('w', [10, 3], 'int8'), scale: input('scale', [3]) });
    expect(programMemory(program('p', { y }), { rows: 7 })).toBe(70);
  });

  it('grows with its sizes, which it reads from what is bound', () => {
    const p = program('p', { y: matmul(add(x, x), input('w', [10, 'out'])) });
    const sizes = symbolSizes(p, { x: { shape: [6, 10] }, w: { shape: [10, 2] } });
    expect(sizes).toEqual({ rows: 6, out: 2 });
    expect(programMemory(p, sizes)).toBe(240);
    expect(programMemory(p, { ...sizes, rows: 12 })).toBe(480);
    expect(() => programMemory(p, { out: 2 })).toThrow('no size for rows');
  });
});
