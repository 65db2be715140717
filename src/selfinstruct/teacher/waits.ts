// How long a server asks us to wait, in the ways in which servers say so.
// Source: RFC 9110 section 10.2.3; OpenAI's x-ratelimit-* headers ("6m0s", "1.2s", "250ms"); retry-after-ms as its clients read it.

/** @param now milliseconds since 1970. @returns milliseconds, undefined where nothing is said. */
export function askedWait(headers: Headers, now = Date.now()): number | undefined {
  const ms = Number(headers.get('retry-after-ms') ?? Number.NaN);
  if (ms >= 0) return ms;
  const after = headers.get('retry-after')?.trim();
  if (after) {
    if (/^\d+(\.\d+)?$/.test(after)) return Number(after) * 1000;
    const date = Date.parse(after);
    if (!Number.isNaN(date)) {
      // The server's clock where it tells it: ours may be wrong.
      const served = Date.parse(headers.get('date') ?? '');
      return Math.max(0, date - (Number.isNaN(served) ? now : served));
    }
  }
  const resets = ['requests', 'tokens'].map((what) => ({
    left: headers.get(`x-ratelimit-remaining-${what}`),
    wait: parseDuration(headers.get(`x-ratelimit-reset-${what}`)),
  }));
  const used = resets.filter(({ left, wait }) => left === '0' && wait !== undefined);
  const waits = (used.length > 0 ? used : resets).flatMap(({ wait }) => wait ?? []);
  return waits.length > 0 ? Math.max(...waits) : undefined;
}

/** `1h2m3.5s`, `250ms`, or plain seconds. */
export function parseDuration(text: string | null): number | undefined {
  if (!text) return undefined;
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const units: Record<string, number> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|d|h|m|s)/g)];
  if (parts.length === 0 || parts.map(([all]) => all).join('') !== text) return undefined;
  return parts.reduce((sum, [, value, unit]) => sum + Number(value) * units[unit!]!, 0);
}

/** The n-th wait after a failure, n from 0: doubled each time, between half and all of it so that clients do not move in step. */
export function backoff(n: number, firstMs: number, longestMs: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(n, 30)) * (0.5 + Math.random() / 2);
}
