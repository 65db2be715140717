// How a proxy is written down. What goes through it is for the room that asks; only `cli` reads the environment.
import { usageError } from './errors.ts';

export interface ProxySettings {
  /** For http: addresses, e.g. `http://name:password@proxy:3128` (HTTP_PROXY). */
  http?: string;
  /** For https: addresses (HTTPS_PROXY). */
  https?: string;
  /** Hosts that are reached directly: `localhost,.example.com,10.0.0.5:8080`, or `*` for all (NO_PROXY). */
  noProxy?: string;
}

/**
 * The whole address of a proxy.
 * @param variable where the value came from, for the message.
 * @param schemes that the caller can speak, without the colon.
 * @throws HuacayaError USAGE when it is none; its password is not repeated.
 */
export function proxyAddress(value: string, variable: string, schemes: readonly string[]): string {
  // curl's habit: a proxy without a scheme is an http proxy.
  const address = (value.includes('://') ? value : `http://${value}`).replace(/^socks5h:/, 'socks5:');
  if (URL.canParse(address) && schemes.includes(new URL(address).protocol.slice(0, -1))) return address;
  throw usageError(
    `${variable} is not the address of a proxy`,
    `Set ${variable} to something like http://proxy.example:3128.`,
  );
}
