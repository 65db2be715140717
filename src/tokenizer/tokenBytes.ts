// Token ids -> the bytes they stand for. Texts are made from bytes because a token may hold only part of a character.

import { unspellBytes } from './byteLevel.ts';
import type { DecodeRule, JsonPart } from './definition.ts';
import { isObject, unsupported } from './definition.ts';

const encoder = new TextEncoder();
const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;

/** @param added the token is matched as it is written, not spelled in the byte-level alphabet. */
export function tokenBytes(text: string, rule: DecodeRule, added: boolean): Uint8Array {
  if (rule.kind === 'byteLevel') return (added ? undefined : unspellBytes(text)) ?? encoder.encode(text);
  const byte = rule.byteFallback ? BYTE_TOKEN.exec(text) : null;
  return byte ? Uint8Array.of(Number.parseInt(byte[1]!, 16)) : encoder.encode(text.replaceAll(rule.space, ' '));
}

/**
 * Reads the `decoder` of a tokenizer.json: ByteLevel, Metaspace, or LLaMA's sequence of Replace, ByteFallback, Fuse, Strip.
 * @throws HuacayaError TOKENIZER_UNSUPPORTED.
 */
export function readDecodeRule(part: JsonPart | undefined): DecodeRule {
  if (!part) throw unsupported('the tokenizer has no decoder');
  const parts = part.type === 'Sequence' && Array.isArray(part.decoders) ? (part.decoders as unknown[]) : [part];
  const rule = { kind: 'spaces' as const, space: ' ', byteFallback: false, stripStart: false };
  for (const step of parts) {
    if (!isObject(step)) throw unsupported('a decoder is not an object');
    if (step.type === 'ByteLevel' && parts.length === 1) return { kind: 'byteLevel' };
    if (step.type === 'Replace' && isObject(step.pattern) && step.content === ' ')
      rule.space = String(step.pattern.String);
    else if (step.type === 'ByteFallback') rule.byteFallback = true;
    else if (step.type === 'Strip' && step.content === ' ' && step.start === 1 && !step.stop) rule.stripStart = true;
    else if (step.type === 'Metaspace') {
      rule.space = typeof step.replacement === 'string' ? step.replacement : '▁';
      rule.stripStart = step.prepend_scheme !== 'never' && step.add_prefix_space !== false;
    } else if (step.type !== 'Fuse') {
      throw unsupported(`decoder ${JSON.stringify(step.type)} is not known, or not with these settings`);
    }
  }
  return rule;
}
