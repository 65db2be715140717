// Texts in the chosen language. Components that call t() are drawn again when the language changes.
import { computed } from '@preact/signals';
import { oneOf, stored } from '../app/stored.ts';
import { en, type TextKey, type Texts } from './en.ts';
import { type Language, preferredLanguage } from './preferredLanguage.ts';
import { zhCN } from './zhCN.ts';

export const languages: Record<string, Texts> = { en, 'zh-CN': zhCN };
export const language = stored<Language>(
  'language',
  () => preferredLanguage(navigator.languages),
  oneOf(['en', 'zh-CN']),
);

/** The text of a key with its {placeholders} filled in. */
export function t(key: TextKey, values: Record<string, string | number> = {}): string {
  const text = languages[language.value]![key];
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

const formats = computed(() => ({
  count: new Intl.NumberFormat(language.value, { maximumFractionDigits: 0 }),
  decimal: new Intl.NumberFormat(language.value, { maximumFractionDigits: 2 }),
  percent: new Intl.NumberFormat(language.value, { style: 'percent', maximumFractionDigits: 1 }),
  list: new Intl.ListFormat(language.value, { type: 'conjunction' }),
}));

export const count = (n: number) => formats.value.count.format(n);
export const decimal = (n: number) => formats.value.decimal.format(n);
export const percent = (n: number) => formats.value.percent.format(n);
export const list = (parts: readonly string[]) => formats.value.list.format(parts);
