// A fetch without timeouts of its own, which knows proxies. Node's gives up after 300 s without a byte; a slow teacher on a laptop
// may need longer.
import type { Dispatcher } from 'undici';
import { usageError } from '../../base/index.ts';

/** Which proxy requests go through; only the command line reads the environment. */
export interface TeacherProxy {
  /** For http: addresses, e.g. `http://name:password@proxy:3128` (HTTP_PROXY). */
  http?: string;
  /** For https: addresses (HTTPS_PROXY). */
  https?: string;
  /** Hosts that are reached directly (NO_PROXY); this machine always is. */
  noProxy?: string;
}

const TIMEOUTS = { headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 15_000 } };

/** @throws HuacayaError USAGE when a proxy is none; its password is not repeated. */
export function patientFetch(proxy?: TeacherProxy): typeof fetch {
  const proxies = { 'http:': address(proxy?.http, 'HTTP_PROXY'), 'https:': address(proxy?.https, 'HTTPS_PROXY') };
  const dispatchers = new Map<string, Dispatcher>();
  return (async (url: string, init: object) => {
    // Loaded late: most commands need no network.
    const undici = await import('undici');
    const through = proxies[new URL(url).protocol as keyof typeof proxies];
    const noProxy = `localhost,127.0.0.1,[::1],${proxy?.noProxy ?? ''}`;
    const dispatcher =
      dispatchers.get(through) ??
      (through
        ? // Both are given: for one that is left out it would look into the environment.
          new undici.EnvHttpProxyAgent({ ...TIMEOUTS, httpProxy: through, httpsProxy: through, noProxy })
        : new undici.Agent(TIMEOUTS));
    dispatchers.set(through, dispatcher);
    return undici.fetch(url, { ...init, dispatcher });
  }) as never;
}

function address(value: string | undefined, name: string): string {
  if (!value) return '';
  // curl's habit: a proxy without a scheme is an http proxy.
  const whole = value.includes('://') ? value : `http://${value}`;
  if (URL.canParse(whole) && /^https?:$/.test(new URL(whole).protocol)) return whole;
  throw usageError(`${name} is not the address of a proxy`, `Set ${name} to something like http://proxy.example:3128.`);
}
