// What went wrong between us and a host, in plain words; the system's own code stays in brackets for whoever searches for it.
import { HuacayaError } from '../base/index.ts';

const WORDS: Record<string, string> = {
  ENOTFOUND: 'no such host name',
  EAI_AGAIN: 'the name service does not answer',
  ECONNREFUSED: 'nothing answers at that address and port',
  ECONNRESET: 'the other side cut the connection',
  UND_ERR_SOCKET: 'the other side closed the connection',
  EPIPE: 'the other side closed the connection',
  ETIMEDOUT: 'no connection in time',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no network',
  HPE_INVALID_CONSTANT: 'the answer is not HTTP',
};

const CERTIFICATE: Record<string, string> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; is the clock of this machine right?',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it signed its certificate itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate was signed by an authority that this machine does not know',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate was signed by an authority that this machine does not know',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate was signed by an authority that this machine does not know',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate was signed by an authority that this machine does not know',
};

/** Failures that may pass when one tries again. */
export function isTransient(error: unknown): boolean {
  return error instanceof HuacayaError && ['HUB_UNREACHABLE', 'HUB_LOST', 'HUB_BUSY'].includes(error.code);
}

// Only the host is named: the path of a redirect carries a signature.
export function unreachable(url: URL, why: string, cause?: unknown): HuacayaError {
  return new HuacayaError('HUB_UNREACHABLE', `${url.origin} could not be reached (${why})`, {
    hint: 'Check the network, set HF_ENDPOINT to a mirror, or give the path of a model that is on this machine.',
    cause,
  });
}

export function lost(url: URL, why: string, cause?: unknown): HuacayaError {
  return new HuacayaError('HUB_LOST', `${url.origin}: the connection was lost (${why})`, {
    hint: 'Run the command again: it goes on where it stopped.',
    cause,
  });
}

/**
 * What really happened: the user's interruption, our own deadline, or the reason under undici's error.
 * @param wrap `unreachable` before the answer, `lost` in the middle of it.
 */
export function explain(
  error: unknown,
  url: URL,
  signals: { inner: AbortSignal; outer: AbortSignal | undefined },
  wrap: typeof unreachable,
): unknown {
  if (signals.outer?.aborted) return signals.outer.reason;
  if (error instanceof HuacayaError) return error;
  if (signals.inner.aborted && signals.inner.reason instanceof HuacayaError) return signals.inner.reason;
  const cause = rootCause(error);
  const code = cause.code ?? '';
  if (code in CERTIFICATE || code.startsWith('ERR_TLS_') || code.startsWith('ERR_SSL_') || code === 'EPROTO') {
    return new HuacayaError(
      'HUB_CERTIFICATE',
      `${url.origin}: no safe connection, ${CERTIFICATE[code] ?? 'TLS failed'} (${code})`,
      {
        hint: 'Behind a company proxy, set NODE_EXTRA_CA_CERTS to the file of its certificate authority.',
        cause: error,
      },
    );
  }
  const proxy = /Proxy response \((\d+)\)|Proxy Authentication Required \((407)\)/.exec(cause.message ?? '');
  if (proxy) return proxyRefused(url, proxy[1] ?? proxy[2]!, error);
  const words = WORDS[code];
  return wrap(url, words ? `${words}, ${code}` : code || cause.message || String(error), error);
}

function proxyRefused(url: URL, status: string, cause: unknown): HuacayaError {
  return new HuacayaError('HUB_PROXY', `the proxy does not connect us to ${url.host} (it answered ${status})`, {
    hint:
      status === '407'
        ? 'It wants a name and a password: HTTPS_PROXY=http://name:password@host:port.'
        : 'Check HTTPS_PROXY and HTTP_PROXY, or name the host in NO_PROXY.',
    cause,
  });
}

/** An address with several IPs fails with an AggregateError: its first one speaks for all. */
function rootCause(error: unknown): { code?: string; message?: string } {
  let found = error as { code?: string; message?: string; cause?: unknown; errors?: unknown[] };
  for (let depth = 0; depth < 4; depth++) {
    const inner = found?.cause ?? (found?.code === undefined ? found?.errors?.[0] : undefined);
    if (!inner || typeof inner !== 'object') break;
    found = inner as typeof found;
  }
  return found ?? {};
}
