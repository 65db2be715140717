// How an answer came about, in the server's numbers: speed, tokens, why it ended, and how it was really decoded.
import type { AnswerEnd } from '../api/streamAnswer.ts';
import { count, decimal, t } from '../i18n/i18n.ts';
import { serverMode } from './modeWords.ts';

export function AnswerFacts({ end }: { end: AnswerEnd }) {
  const { usage, timing, finish } = end;
  const cached = usage?.prompt_tokens_details?.cached_tokens ?? 0;
  const speed = timing?.tokens_per_second;
  return (
    <ul class="facts" aria-label={t('answer.facts')}>
      {typeof speed === 'number' && <li>{t('answer.speed', { n: speed < 10 ? decimal(speed) : count(speed) })}</li>}
      {usage && <li>{t('answer.answerTokens', { n: count(usage.completion_tokens) })}</li>}
      {usage && (
        <li>
          {cached > 0
            ? t('answer.cachedTokens', { n: count(usage.prompt_tokens), cached: count(cached) })
            : t('answer.promptTokens', { n: count(usage.prompt_tokens) })}
        </li>
      )}
      <li>
        {finish === 'stop' || finish === 'length'
          ? t(`answer.finish.${finish}`)
          : t('answer.finish.other', { reason: finish })}
      </li>
      {timing?.mode && <li class="decoded">{t('answer.mode', { mode: serverMode(timing.mode) })}</li>}
    </ul>
  );
}
