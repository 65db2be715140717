// The effective mode in words.
import type { TextKey } from '../i18n/en.ts';
import { decimal, list, percent, t } from '../i18n/i18n.ts';
import type { EffectiveMode } from './effectiveMode.ts';
import type { Sampling } from './sampling.ts';

/** E.g. "Sampling · 0.7", "Greedy". */
export function modeSummary(s: Sampling, mode: EffectiveMode): string {
  const name = t(`mode.${mode.kind}`);
  return mode.kind === 'greedy' ? name : `${name} · ${decimal(s.temperature)}`;
}

/** What happens at each token, which settings are idle, and whether it can be repeated. */
export function modeSentences(s: Sampling, mode: EffectiveMode): string {
  const sentences: string[] = [];
  if (mode.because) {
    sentences.push(t(`mode.greedy.${mode.because}`), t('mode.greedy.same'));
    const names = [...mode.inactive].map((knob) => t(`knob.${knob}`));
    sentences.push(t('mode.noEffect', { names: list(names) }));
  } else {
    const filters = filterWords(s);
    const temperature = decimal(s.temperature);
    sentences.push(
      filters.length === 0
        ? t('mode.drawAll', { t: temperature })
        : t('mode.drawFrom', { t: temperature, filters: list(filters) }),
      s.seed === undefined ? t('mode.seed.random') : t('mode.seed.fixed', { seed: s.seed }),
    );
  }
  const penalties = penaltyWords(s);
  if (penalties.length > 0) sentences.push(t('mode.penalties', { list: list(penalties) }));
  return sentences.join(t('sentence.space'));
}

function filterWords(s: Sampling): string[] {
  const words: string[] = [];
  if (s.topK > 0) words.push(t('mode.filter.topK', { n: s.topK }));
  if (s.topP < 1) words.push(t('mode.filter.topP', { share: percent(s.topP) }));
  if (s.minP > 0) words.push(t('mode.filter.minP', { share: percent(s.minP) }));
  return words;
}

function penaltyWords(s: Sampling): string[] {
  const all: [TextKey, number, boolean][] = [
    ['mode.penalty.repetition', s.repetitionPenalty, s.repetitionPenalty !== 1],
    ['mode.penalty.presence', s.presencePenalty, s.presencePenalty !== 0],
    ['mode.penalty.frequency', s.frequencyPenalty, s.frequencyPenalty !== 0],
  ];
  return all.filter(([, , on]) => on).map(([key, n]) => t(key, { n: decimal(n) }));
}

/** The server's own words for an answer: its first word is translated, the rest are names of the API. */
export function serverMode(said: string): string {
  return said.replace(/^(greedy|sampling)\b/, (kind) => t(`mode.${kind as EffectiveMode['kind']}`));
}
