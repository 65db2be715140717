// Every language has every text with the same placeholders, and no text is left over.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { en, type TextKey } from '../../web/src/i18n/en.ts';
import { zhCN } from '../../web/src/i18n/zhCN.ts';

const src = fileURLToPath(new URL('../../web/src/', import.meta.url));
const keys = Object.keys(en) as TextKey[];
const placeholders = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();

describe('texts', () => {
  it('are there in both languages, with the same placeholders', () => {
    expect(Object.keys(zhCN)).toEqual(keys);
    for (const key of keys) {
      expect(placeholders(zhCN[key]), key).toEqual(placeholders(en[key]));
      if (key !== 'sentence.space') expect(zhCN[key].trim(), key).not.toBe('');
    }
  });

  it('are translated: what is the same in both is a name', () => {
    const same = keys.filter((key) => zhCN[key] === en[key]);
    expect(same.sort()).toEqual(['knob.minP', 'knob.topK', 'knob.topP']);
  });

  it('are all used', () => {
    const code = readdirSync(src, { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.tsx?$/.test(file) && !file.startsWith('i18n'))
      .map((file) => readFileSync(join(src, file), 'utf8'))
      .join('\n');
    // Whole keys, and those that are put together from a fixed start and (perhaps) a fixed end.
    const parts = [...code.matchAll(/`([a-z]+(?:\.[a-z]+)*\.)\$\{[^}]+\}([.\w]*)`/g)].map(
      (m) => [m[1]!, m[2]!] as const,
    );
    const used = (key: string) =>
      code.includes(`'${key}'`) || parts.some(([start, end]) => key.startsWith(start) && key.endsWith(end));
    expect(parts.length).toBeGreaterThan(5);
    expect(keys.filter((key) => !used(key))).toEqual([]);
  });
});
