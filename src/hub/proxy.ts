// Which proxy a request goes through, and the connections that go there. The settings come from the caller: only `cli` reads the environment.
import type { Agent, Dispatcher, ProxyAgent } from 'undici';
import { type ProxySettings, proxyAddress } from '../base/index.ts';

/**
 * The proxy for an address, or undefined.
 * @throws HuacayaError USAGE when the setting is no address of a proxy; its password is not repeated.
 */
export function proxyFor(url: URL, settings: ProxySettings | undefined): string | undefined {
  const value = url.protocol === 'https:' ? settings?.https : settings?.http;
  if (!value || isExcluded(url, settings?.noProxy ?? '')) return undefined;
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  return proxyAddress(value, name, ['http', 'https', 'socks5']);
}

/** The rules that curl and Python share: `*`, a host and everything below it, with or without a leading dot and a port. */
function isExcluded(url: URL, noProxy: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      if (entry === '*') return true;
      const [, name, wanted] =
        /^(?:\*?\.)?\[?(.*?)\]?(?::(\d+))?$/.exec(isBareIpv6(entry) ? `[${entry}]` : entry) ?? [];
      if (!name || (wanted && wanted !== port)) return false;
      return host === name || host.endsWith(`.${name}`);
    });
}

function isBareIpv6(entry: string): boolean {
  return !entry.startsWith('[') && entry.split(':').length > 2;
}

let direct: Agent | undefined;
const proxies = new Map<string, ProxyAgent>();

/** Connections are kept for the whole process; idle ones do not keep it alive. Loaded late: most commands need no network. */
export async function dispatcherFor(url: URL, settings: ProxySettings | undefined): Promise<Dispatcher> {
  const undici = await import('undici');
  const uri = proxyFor(url, settings);
  if (uri === undefined) {
    direct ??= new undici.Agent({ connect: { timeout: 0 } });
    return direct;
  }
  let agent = proxies.get(uri);
  if (!agent) {
    // Plain http is asked for by its whole address, as proxies expect; many forbid CONNECT to port 80.
    agent = new undici.ProxyAgent({ uri, proxyTunnel: false });
    proxies.set(uri, agent);
  }
  return agent;
}
