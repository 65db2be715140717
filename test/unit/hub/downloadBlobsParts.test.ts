// The small parts of a download: which chunks are there, whose turn it is, how fast it goes.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChunkTable, chunkSizeFor } from '../../../src/hub/chunkTable.ts';
import type { HubEvent } from '../../../src/hub/index.ts';
import { Meter } from '../../../src/hub/meter.ts';
import { Mirrors, MirrorWalk } from '../../../src/hub/mirrors.ts';
import { Slots } from '../../../src/hub/slots.ts';

const MIB = 1 << 20;

describe('ChunkTable', () => {
  it('gives every chunk out once, and knows how far the file is whole', () => {
    const step = fc.tuple(fc.nat(9), fc.nat(12), fc.boolean());
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 95 }), fc.array(step, { maxLength: 40 }), (size, steps) => {
        const table = new ChunkTable(size, 10);
        const there = new Array<boolean>(size).fill(false);
        const taken = new Set<number>();
        for (const [index, have, claim] of steps) {
          if (claim) {
            const chunk = table.claim();
            if (!chunk) continue;
            expect(taken.has(chunk.index)).toBe(false);
            expect(there.slice(chunk.start, chunk.end).every(Boolean)).toBe(false);
            taken.add(chunk.index);
            continue;
          }
          if (index >= table.have.length) continue;
          table.fill(index, have);
          const { start, end } = table.chunk(index);
          for (let i = start; i < Math.min(start + have, end); i++) there[i] = true;
          if (taken.delete(index)) table.release(table.chunk(index));
        }
        const hole = there.indexOf(false);
        expect(table.frontier).toBe(hole < 0 ? size : hole);
        expect(table.received).toBe(there.filter(Boolean).length);
        expect(table.complete).toBe(hole < 0);
      }),
    );
  });

  it('cuts files of every size into parts of 4 to 64 MiB', () => {
    expect([1, 100 * MIB, 1e9, 70e9].map((size) => chunkSizeFor(size) / MIB)).toEqual([4, 4, 30, 64]);
  });
});

describe('Slots', () => {
  it('lets the lowest rank in first, and those who give up out', async () => {
    const slots = new Slots(1);
    await slots.take();
    const order: string[] = [];
    const enter = (name: string, rank: number, signal?: AbortSignal) =>
      slots.take(rank, signal).then(
        () => order.push(name),
        (error) => order.push(error.message),
      );
    const stop = new AbortController();
    const all = [enter('b', 2), enter('gone', 1, stop.signal), enter('a', 1), enter('c', 2)];
    stop.abort(new Error('gave up'));
    for (let i = 0; i < 4; i++) {
      slots.give();
      await new Promise(setImmediate);
    }
    await Promise.all(all);
    expect(order).toEqual(['gave up', 'a', 'b', 'c']);
  });
});

describe('MirrorWalk', () => {
  it('waits for all files when a server asks for it, and only with that server', () => {
    const mirrors = new Mirrors();
    const [one, two] = [1, 2].map(() => new MirrorWalk(['https://a/x', 'https://b/x'], mirrors)) as [
      MirrorWalk,
      MirrorWalk,
    ];
    one.hold(5000);
    expect(two.heldMs).toBeGreaterThan(4000);
    two.startAgain();
    expect(two.heldMs).toBe(0);
  });
});

describe('Meter', () => {
  it('counts what was there before, but not into the speed', () => {
    const events: HubEvent[] = [];
    const hash = { kind: 'sha256', value: '' } as const;
    const [a, b] = [
      { name: 'a', size: 1000, hash },
      { name: 'b', size: 500, hash },
    ];
    const meter = new Meter([a, b], (event) => events.push(event));
    meter.begin(a, 400);
    meter.begin(b, 500);
    meter.at(a, 400, 0, 1000);
    meter.at(a, 600, 200, 2000);
    meter.at(a, 800, 200, 3000);
    expect(events.at(-2)).toEqual({ type: 'progress', file: 'a', received: 800, total: 1000, bytesPerSecond: 200 });
    expect(events.at(-1)).toMatchObject({ type: 'total', received: 1300, total: 1500, filesDone: 0, files: 2 });
    expect(events.at(-1)).toMatchObject({ bytesPerSecond: 200 });
  });
});
