// A fetch without timeouts of its own, which knows proxies. Node's gives up after 300 s without a byte; a slow teacher on a laptop
// may need longer.
import type { Dispatcher } from 'undici';
import { type ProxySettings, proxyAddress } from '../../base/index.ts';

const TIMEOUTS = { headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 15_000 } };

/**
 * @param proxy this machine is always reached directly.
 * @throws HuacayaError USAGE when a proxy is none; its password is not repeated.
 */
export function patientFetch(proxy?: ProxySettings): typeof fetch {
  const address = (value: string | undefined, name: string) =>
    value ? proxyAddress(value, name, ['http', 'https']) : '';
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
