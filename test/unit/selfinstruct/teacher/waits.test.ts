// How long servers ask us to wait, in all their ways.
import { describe, expect, it } from 'vitest';
import { askedWait, backoff, parseDuration } from '../../../../src/selfinstruct/teacher/waits.ts';

const now = Date.parse('2026-01-02T03:04:05Z');
const wait = (headers: Record<string, string>) => askedWait(new Headers(headers), now);

describe('waits', () => {
  it.each([
    [{}, undefined],
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': '0.5' }, 500],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after-ms': '250', 'retry-after': '9' }, 250],
    [{ 'retry-after': 'Fri, 02 Jan 2026 03:04:15 GMT' }, 10_000],
    // The server's clock counts, not ours.
    [{ 'retry-after': 'Fri, 02 Jan 2026 04:00:20 GMT', date: 'Fri, 02 Jan 2026 04:00:00 GMT' }, 20_000],
    [{ 'retry-after': 'Fri, 02 Jan 2026 03:00:00 GMT' }, 0],
    [{ 'x-ratelimit-reset-requests': '1m2.5s' }, 62_500],
    [{ 'x-ratelimit-reset-requests': '1s', 'x-ratelimit-reset-tokens': '6m0s' }, 360_000],
    [
      {
        'x-ratelimit-reset-requests': '120ms',
        'x-ratelimit-remaining-requests': '0',
        'x-ratelimit-reset-tokens': '6m0s',
        'x-ratelimit-remaining-tokens': '1000',
      },
      120,
    ],
  ])('%j', (headers, expected) => expect(wait(headers)).toBe(expected));

  it('durations', () => {
    expect(['2h', '1d', '3', '90ms', '1h1m1s'].map(parseDuration)).toEqual([
      7_200_000, 86_400_000, 3000, 90, 3_661_000,
    ]);
    expect([null, '', 'x', '5 apples', '5s!'].map(parseDuration)).toEqual(Array(5).fill(undefined));
  });

  it('double between tries, never above the longest, never in step', () => {
    const waits = Array.from({ length: 200 }, (_, n) => backoff(n, 100, 5000));
    waits.forEach((ms, n) => {
      const full = Math.min(5000, 100 * 2 ** n);
      expect(ms).toBeGreaterThanOrEqual(full / 2);
      expect(ms).toBeLessThanOrEqual(full);
    });
    expect(new Set(waits).size).toBeGreaterThan(150);
  });
});
