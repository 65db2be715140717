// Which steps `--profile` measures: from the trainer's events to what the engine is told to count.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type MeasuredSteps, StepProfile } from '../../../src/cli/stepProfile.ts';
import type { TrainEvent } from '../../../src/train/index.ts';

beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => vi.useRealTimers());

const started: TrainEvent = { type: 'start', totalSteps: 0, trainable: 0, examples: 0, packs: 0 };
const step = (n: number) => ({ type: 'step', step: n, tokens: 100 }) as TrainEvent;
const heldOut = (n: number): TrainEvent => ({ type: 'heldOut', step: n, loss: 1 });
const skipped = (n: number): TrainEvent => ({ type: 'skipped', step: n, reason: 'overflow' });

/** Each event comes a second after the one before. */
function scene(totalSteps: number, evaluated: readonly number[] = []) {
  const log: string[] = [];
  const stop = new AbortController();
  const done = vi.fn<(m: MeasuredSteps) => Promise<void>>(async () => {});
  let counting = true;
  const profile = new StepProfile({
    runtime: {
      countRuns(on) {
        counting = on;
      },
      profile: async () => {
        log.push('profile');
        return [];
      },
    },
    totalSteps,
    evaluates: (n) => evaluated.includes(n),
    signal: stop.signal,
    onDone: done,
  });
  const send = (...events: TrainEvent[]) => {
    for (const event of events) {
      vi.advanceTimersByTime(1000);
      if (counting) log.push(`${event.type} ${'step' in event ? event.step : ''}`);
      profile.observe(event);
    }
  };
  return { profile, send, stop, done, log, counting: () => counting };
}

describe('the measured steps', () => {
  it('are those after the first, and the engine counts nothing else', async () => {
    const s = scene(4);
    s.send(started, step(1), step(2), step(3), step(4));
    expect(s.counting()).toBe(false);
    await s.profile.end();
    expect(s.done).toHaveBeenCalledExactlyOnceWith({ programs: [], steps: 3, warmUp: 1, seconds: 3, tokens: 300 });
    expect(s.log).toEqual(['step 2', 'step 3', 'step 4', 'profile']);
  });

  it('leave out the held-out losses before, between and after', async () => {
    const s = scene(5, [0, 2, 4]);
    s.send(started, heldOut(0), step(1), step(2), heldOut(2), step(3), step(4), heldOut(4), step(5), heldOut(5));
    await s.profile.end();
    expect(s.done).toHaveBeenCalledWith(expect.objectContaining({ steps: 4, seconds: 4 }));
    expect(s.log).toEqual(['step 2', 'step 3', 'step 4', 'step 5', 'profile']);
  });

  it('are ten, then training goes on uncounted', async () => {
    const s = scene(100);
    s.send(started, ...Array.from({ length: 11 }, (_, i) => step(i + 1)));
    expect(s.log.at(-1)).toBe('profile');
    await vi.waitFor(() => expect(s.done).toHaveBeenCalledOnce());
    s.send(step(12), step(13));
    await s.profile.end();
    expect(s.done).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ steps: 10, seconds: 10 }));
    expect(s.counting()).toBe(false);
  });

  it('are fewer where they are slow', async () => {
    const s = scene(100);
    s.send(started, step(1));
    vi.advanceTimersByTime(15_000);
    s.send(step(2));
    vi.advanceTimersByTime(15_000);
    s.send(step(3), step(4));
    await s.profile.end();
    expect(s.done).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ steps: 2, seconds: 32 }));
  });

  it.each([
    ['without', [], [started, step(1)]],
    ['with', [0], [started, heldOut(0), step(1), heldOut(1)]],
  ])('of a run of one step are that one, %s held-out rows', async (_with, evaluated, events) => {
    const s = scene(1, evaluated);
    s.send(...events);
    await s.profile.end();
    expect(s.done).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ steps: 1, warmUp: 0, seconds: 1 }));
  });

  it('may have overflowed: their time is the same', async () => {
    const s = scene(3);
    s.send(started, step(1), skipped(2), skipped(3));
    await s.profile.end();
    expect(s.done).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ steps: 2, seconds: 2, tokens: 0 }));
  });
});

describe('a run that is stopped', () => {
  it('has a profile of the steps until then', async () => {
    const s = scene(9, [0]);
    s.send(started, heldOut(0), step(1), step(2));
    s.stop.abort();
    s.send(step(3), heldOut(3));
    await s.profile.end();
    expect(s.done).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ steps: 2 }));
    expect(s.counting()).toBe(false);
  });

  it('while it evaluates, too', async () => {
    const s = scene(9, [2]);
    s.send(started, step(1), step(2));
    s.stop.abort();
    s.send(heldOut(2));
    expect(s.counting()).toBe(false);
    await s.profile.end();
    expect(s.done).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ steps: 1 }));
  });

  it('in its first step has none', async () => {
    const s = scene(9);
    s.send(started);
    s.stop.abort();
    s.send(step(1));
    await s.profile.end();
    expect(s.done).not.toHaveBeenCalled();
    expect(s.counting()).toBe(false);
  });
});

it('hands on what goes wrong, and only at the end', async () => {
  const s = scene(2);
  s.done.mockRejectedValue(new Error('disk full'));
  s.send(started, step(1), step(2));
  await expect(s.profile.end()).rejects.toThrow('disk full');
});
