// Makes the seed of an answer the one of all that follow, so that only what is changed on purpose changes.
import { t } from '../i18n/i18n.ts';
import type { Answer } from './answer.ts';
import { sampling } from './tryState.ts';

export function KeepSeed({ answer }: { answer: Answer }) {
  const seed = answer.seed.value;
  if (seed === undefined || answer.progress.value.phase === 'failed') return null;
  return (
    <button
      type="button"
      class="button quiet"
      aria-pressed={sampling.value.seed === seed}
      onClick={() => {
        // A second press lets go of it.
        sampling.value = { ...sampling.value, seed: sampling.value.seed === seed ? undefined : seed };
      }}
    >
      <span>{t('answer.useSeed')}</span>
    </button>
  );
}
