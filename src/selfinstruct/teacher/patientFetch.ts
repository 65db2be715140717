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
  const [http, https] = [address(proxy?.http, 'HTTP_PROXY'), address(proxy?.https, 'HTTPS_PROXY')];
  let dispatcher: Dispatcher | undefined;
  return (async (url: string, init: object) => {
    // Loaded late: most commands need no network.
    const undici = await import('undici');
    dispatcher ??=
      http || https
        ? new undici.EnvHttpProxyAgent({
            ...TIMEOUTS,
            // Empty, not left out: it would look into the environment.
            httpProxy: http,
            httpsProxy: https,
            noProxy: `localhost,127.0.0.1,[::1],${proxy?.noProxy ?? ''}`,
          })
        : new undici.Agent(TIMEOUTS);
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
