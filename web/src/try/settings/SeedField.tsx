// The seed: empty for a new one each time.
import { useId } from 'preact/hooks';
import { t } from '../../i18n/i18n.ts';
import { isSeed } from '../sampling.ts';
import { currentMode, sampling } from '../tryState.ts';

export function SeedField() {
  const id = useId();
  const disabled = currentMode.value.inactive.has('seed');
  return (
    <div class={disabled ? 'slider off' : 'slider'}>
      <label for={id}>{t('knob.seed')}</label>
      <input
        id={id}
        class="number seed"
        inputMode="numeric"
        placeholder={t('knob.seed.random')}
        aria-describedby={`${id}-hint`}
        disabled={disabled}
        value={sampling.value.seed ?? ''}
        onInput={(event) => {
          const text = event.currentTarget.value.trim();
          const seed = text === '' ? undefined : Number(text);
          if (seed === undefined || isSeed(seed)) sampling.value = { ...sampling.value, seed };
        }}
        onBlur={(event) => {
          event.currentTarget.value = String(sampling.value.seed ?? '');
        }}
      />
      <p class="hint" id={`${id}-hint`}>
        {t(disabled ? 'knob.noEffect' : 'knob.seed.hint')}
      </p>
    </div>
  );
}
