// What every answer starts with, and which tokens end it.
import { randomUUID } from 'node:crypto';
import { version } from '../version.ts';
import type { ServerContext } from './context.ts';
import type { CommonBody } from './schemas/common.ts';

/** @param prefix 'chatcmpl' or 'cmpl', as OpenAI's ids start. */
export function envelopeOf({ assistant }: ServerContext, model: string, prefix: string) {
  return {
    id: `${prefix}-${randomUUID().replaceAll('-', '')}`,
    created: Math.floor(Date.now() / 1000),
    model,
    system_fingerprint: `huacaya-${version}-${assistant.generator.info.precision}`,
  };
}

/** Tokens that give no text because they end an answer. */
export function endsOf({ assistant }: ServerContext, body: CommonBody): ReadonlySet<number> {
  return new Set([...(body.ignore_eos ? [] : assistant.tokenizer.eosIds), ...(body.stop_token_ids ?? [])]);
}
