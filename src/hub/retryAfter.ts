// How long a server asks to be left alone.
// Sources: RFC 9110 section 10.2.3 (Retry-After), draft-ietf-httpapi-ratelimit-headers (RateLimit: "api";r=0;t=55, which the hub sends).

/** Milliseconds from `now`, or undefined when the server says nothing that can be read. Never negative. */
export function retryAfterMs(headers: Headers, now = Date.now()): number | undefined {
  const value = headers.get('retry-after')?.trim();
  if (value && /^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = value ? Date.parse(value) : Number.NaN;
  if (!Number.isNaN(date)) return Math.max(0, date - now);
  const limit =
    /;\s*r=0\s*(?:;|,|$)/.test(headers.get('ratelimit') ?? '') && /;\s*t=(\d{1,9})/.exec(headers.get('ratelimit')!);
  return limit ? Number(limit[1]) * 1000 : undefined;
}
