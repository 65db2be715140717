// What went wrong with an endpoint, one clear line each.
import { HuacayaError, nearNames } from '../../base/index.ts';
import type { NetworkFailure } from './exchange.ts';
import type { Station } from './station.ts';

const RESUME = 'Nothing is lost: run the same command again, it goes on where it stopped.';

export const keyError = ({ name, endpoint }: Station, said: string) =>
  new HuacayaError(
    'TEACHER_KEY',
    endpoint.apiKey ? `${name}: the API key was refused (401${said})` : `${name}: asks for an API key (401${said})`,
    { hint: 'Set OPENAI_API_KEY, or the variable that the recipe names, to a valid key of this service.' },
  );

export const forbiddenError = ({ name }: Station, said: string) =>
  new HuacayaError('TEACHER_FORBIDDEN', `${name}: this account may not do that (403${said})`, {
    hint: 'Check what the key is allowed to do, its organization and project, and whether the service is offered in your country.',
  });

export const quotaError = ({ name }: Station, status: number, said: string) =>
  new HuacayaError('TEACHER_NO_QUOTA', `${name}: the account has no quota left (${status}${said})`, {
    hint: `Add credit or raise the limit at the provider. ${RESUME}`,
  });

export const busyError = ({ name }: Station, said: string, waitMs?: number) =>
  new HuacayaError(
    'TEACHER_BUSY',
    waitMs === undefined
      ? `${name}: too many requests, again and again (429${said})`
      : `${name}: no more requests for the next ${longTime(waitMs)} (429${said})`,
    { hint: `Lower the concurrency, add another endpoint, or wait. ${RESUME}` },
  );

export const failingError = ({ name }: Station, status: number, said: string) =>
  new HuacayaError('TEACHER_FAILING', `${name}: keeps failing (${status}${said})`, { hint: RESUME });

export const refusedError = ({ name }: Station, id: string, status: number, said: string) =>
  new HuacayaError('TEACHER_REFUSED', `${name}: refuses request ${id} (${status}${said})`, {
    hint: 'Check the sampling settings and the extra fields of the recipe against what this server and model understand.',
  });

export const tooLongError = ({ name }: Station, id: string, said: string) =>
  new HuacayaError('TEACHER_PROMPT_TOO_LONG', `${name}: the prompt of request ${id} is too long for the model${said}`, {
    hint: 'Show fewer tasks in the prompt, or use a model with a longer context.',
  });

export const badAnswerError = ({ name }: Station, said: string) =>
  new HuacayaError('TEACHER_BAD_ANSWER', `${name}: the answer is not that of a chat or completions service${said}`, {
    hint: 'Check the address; a login page of the network in between gives such answers too.',
  });

export const redirectError = ({ name }: Station, location: string | null) => {
  const target = location && URL.canParse(location) ? new URL(location) : undefined;
  const base = target ? (target.origin + target.pathname).replace(/\/(chat\/)?completions\/*$/, '') : undefined;
  return new HuacayaError('TEACHER_WRONG_URL', `${name}: redirects ${base ? `to ${base}` : 'elsewhere'}`, {
    hint: base
      ? `If you trust it, write ${base} as the address: keys are never taken to another one.`
      : 'Write the address to which it leads: keys are never taken to another one.',
  });
};

/** No answer at all, or half of one. */
export function networkError({ name, base, worked }: Station, { reason, sent }: NetworkFailure): HuacayaError {
  if (sent || worked) {
    return new HuacayaError('TEACHER_LOST', `${name}: the connection was lost (${reason})`, {
      hint:
        sent && reason.startsWith('no ') ? `Raise the endpoint's timeout if the model is that slow. ${RESUME}` : RESUME,
    });
  }
  const { host } = new URL(base);
  if (reason === 'ENOTFOUND') {
    return new HuacayaError('TEACHER_UNREACHABLE', `${name}: there is no host ${host} (ENOTFOUND)`, {
      hint: 'Check the address for typing errors, and the network.',
    });
  }
  if (reason === 'ECONNREFUSED') {
    return new HuacayaError('TEACHER_UNREACHABLE', `${name}: nothing is listening at ${host} (ECONNREFUSED)`, {
      hint: 'Start the server (e.g. huacaya serve, ollama serve), or check its port in the address.',
    });
  }
  return new HuacayaError('TEACHER_UNREACHABLE', `${name}: cannot be reached (${reason})`, {
    hint: 'Check the address and the network; behind a proxy, set HTTPS_PROXY.',
  });
}

export function modelError({ name, endpoint }: Station, models: readonly string[] | undefined): HuacayaError {
  const near = nearNames(endpoint.model, models ?? []);
  const shown = near.length > 0 ? near : (models ?? []).slice(0, 8);
  const more = models && models.length > shown.length && near.length === 0 ? `, ... (${models.length})` : '';
  return new HuacayaError('TEACHER_MODEL_NOT_FOUND', `${name}: has no model ${endpoint.model}`, {
    hint:
      shown.length === 0
        ? 'Check the name of the model, and whether this key may use it.'
        : near.length > 0
          ? `Did you mean ${near.join(' or ')}?`
          : `It has: ${shown.join(', ')}${more}.`,
  });
}

/** @param better an address that answers as it should. */
export function wrongUrlError(
  { name, base, endpoint }: Station,
  what: string,
  better: string | undefined,
): HuacayaError {
  const guess = /\/v\d+\w*$/.test(base) ? undefined : `${base}/v1`;
  const service = endpoint.api === 'completions' ? 'completions' : 'chat/completions';
  return new HuacayaError('TEACHER_WRONG_URL', `${name}: there is no ${service} at ${base} (${what})`, {
    hint:
      better !== undefined
        ? `Did you mean ${better}?`
        : guess
          ? `Check the address: did you mean ${guess}?`
          : 'Check the address, and whether the server offers this service: api is chat or completions.',
  });
}

function longTime(ms: number): string {
  return ms < 120_000
    ? `${Math.ceil(ms / 1000)} s`
    : ms < 7_200_000
      ? `${Math.ceil(ms / 60_000)} min`
      : `${Math.ceil(ms / 3_600_000)} h`;
}
