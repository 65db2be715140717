// Which slot a prompt gets, what it borrows, and how slots are moved together.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSlots, type Slots } from '../../../src/infer/slots.ts';

const ids = (count: number, seed = 1) => Array.from({ length: count }, (_, i) => seed * 1000 + i);
/** As a request does that computes its whole prompt and an answer. */
const use = (slots: Slots, prompt: readonly number[], adapter = '', answer: readonly number[] = []) => {
  const slot = slots.take(prompt, adapter)!;
  slot.tokens = [...prompt, ...answer];
  return slot;
};

describe('a prompt gets', () => {
  it('empty slots from the first on, then nothing', () => {
    const slots = createSlots(2);
    expect(use(slots, ids(5)).index).toBe(0);
    expect(use(slots, ids(5, 2)).index).toBe(1);
    expect(slots.take(ids(5, 3), '')).toBeUndefined();
    slots.give(slots.all[1]!);
    expect(use(slots, ids(5, 3)).index).toBe(1);
  });

  it('the slot with its chat, whole but for the last token', () => {
    const slots = createSlots(3);
    for (const seed of [1, 2, 3]) slots.give(use(slots, ids(10, seed)));
    expect(slots.take([...ids(10, 2), 7], '')).toMatchObject({ index: 1, tokens: ids(10, 2) });
    slots.give(slots.all[1]!);
    expect(slots.take(ids(10, 3), '')).toMatchObject({ index: 2, tokens: ids(9, 3) });
  });

  it('never what another adapter computed', () => {
    const slots = createSlots(1);
    slots.give(use(slots, ids(10), 'a'));
    expect(slots.take(ids(12), 'b')).toMatchObject({ tokens: [], adapter: 'b' });
  });

  it('the slot that was used longest ago, when none has anything of it', () => {
    const slots = createSlots(3);
    const held = [1, 2, 3].map((seed) => use(slots, ids(10, seed)));
    for (const at of [1, 2, 0]) slots.give(held[at]!);
    expect(slots.take(ids(4, 9), '')!.index).toBe(1);
  });

  it('a slot next to the busy ones, rather than one with others between', () => {
    const slots = createSlots(5);
    const held = [1, 2, 3, 4, 5].map((seed) => use(slots, ids(10, seed)));
    for (const at of [0, 4, 2, 1]) slots.give(held[at]!);
    // 3 is busy.
    expect(slots.take(ids(4, 9), '')!.index).toBe(4);
    expect(slots.take(ids(4, 8), '')!.index).toBe(2);
  });

  it('another slot than one that would lose more than it keeps', () => {
    const slots = createSlots(2);
    slots.give(use(slots, ids(100)));
    expect(slots.take([...ids(40), 7], '')).toMatchObject({ index: 1, tokens: [] });
    expect(slots.borrow(slots.all[1]!, [...ids(40), 7])).toMatchObject({ source: slots.all[0], from: 0, to: 40 });
    expect(slots.all[1]!.tokens).toEqual(ids(40));
    expect(slots.all[0]!.tokens).toHaveLength(100);
    slots.give(slots.all[1]!);
    expect(slots.take([...ids(60), 7], '')).toMatchObject({ index: 0, tokens: ids(60) });
  });
});

describe('borrowing', () => {
  it('is not worth it for a few tokens, nor from another adapter', () => {
    const slots = createSlots(3);
    use(slots, ids(60));
    use(slots, ids(90), 'a');
    const few = slots.take([...ids(15), 3], '')!;
    expect(slots.borrow(few, [...ids(15), 3])).toBeUndefined();
    slots.give(few);
    expect(slots.borrow(few, [...ids(16), 3])).toMatchObject({ from: 0, to: 16 });
    expect(slots.borrow(few, [...ids(31), 3])).toBeUndefined();
    expect(slots.borrow(few, [...ids(90), 3])).toMatchObject({ from: 16, to: 60 });
  });
});

describe('slots with many free ones between', () => {
  const layout = (count: number, busy: readonly number[]) => {
    const slots = createSlots(count);
    for (let i = 0; i < count; i++) use(slots, ids(3, i));
    for (const s of slots.all) if (!busy.includes(s.index)) slots.give(s);
    return slots;
  };

  it.each([
    [[0, 1, 2], []],
    [[0, 2], []],
    [[0, 3], [[3, 1]]],
    [[0, 2, 3, 5], []],
    [[0, 5, 6, 7], [[0, 4]]],
    [[7], []],
  ])('busy %j: moves %j', (busy, moves) => {
    expect(
      layout(8, busy)
        .gather()
        .map(([from, to]) => [from.index, to.index]),
    ).toEqual(moves);
  });

  it('end up together, with what they held', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(9), { minLength: 1 }), (busy) => {
        const slots = layout(10, busy);
        const before = slots.all.filter((s) => s.busy).map((s) => String(s.tokens));
        for (const [from, to] of slots.gather()) {
          expect([from.busy, to.busy]).toEqual([true, false]);
          slots.move(from, to);
        }
        const after = slots.all.filter((s) => s.busy);
        expect(after.map((s) => String(s.tokens)).sort()).toEqual(before.sort());
        const holes = after.at(-1)!.index - after[0]!.index + 1 - after.length;
        expect(holes < 2 || 2 * holes <= after.length).toBe(true);
        expect(slots.gather()).toEqual([]);
      }),
    );
  });
});

it('what was moved goes on in its new place only', () => {
  const slots = createSlots(2);
  const from = use(slots, ids(5));
  const to = slots.all[1]!;
  slots.move(from, to);
  to.tokens.push(7);
  expect(from).toMatchObject({ busy: false, tokens: ids(5) });
  expect(to).toMatchObject({ busy: true, tokens: [...ids(5), 7] });
});

it('forgets what was computed with an adapter that is gone', () => {
  const slots = createSlots(2);
  slots.give(use(slots, ids(5), 'a'));
  slots.give(use(slots, ids(5), 'b'));
  slots.forget((key) => key === 'a');
  expect(slots.all.map((s) => s.tokens.length)).toEqual([0, 5]);
});
