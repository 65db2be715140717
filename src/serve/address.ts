// Which names mean this machine, and how a Host header is read.
import { isIP } from 'node:net';

const bare = (host: string) => host.replace(/^\[(.*)\]$/, '$1');

/** Only this machine can reach it: 127.0.0.0/8, ::1, localhost. */
export function isLoopback(host: string): boolean {
  const name = bare(host)
    .toLowerCase()
    .replace(/^::ffff:/, '');
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}

/** As it stands in a URL: an IPv6 address in brackets. */
export const urlHost = (host: string) => (isIP(bare(host)) === 6 ? `[${bare(host)}]` : host);

/**
 * The name in a Host header, lower case, without port, IPv6 without brackets.
 * @returns undefined for what no browser or client would send.
 */
export function hostName(header: string | undefined): string | undefined {
  const [, name] = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(header ?? '') ?? [];
  return name === undefined ? undefined : bare(name).toLowerCase();
}
