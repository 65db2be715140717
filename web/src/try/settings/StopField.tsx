// Stop strings, one a line.
import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { t } from '../../i18n/i18n.ts';
import { formatStops, parseStops } from '../stopLines.ts';
import { sampling } from '../tryState.ts';

export function StopField() {
  const id = useId();
  const { stop } = sampling.value;
  // What is typed is kept as it is (an empty last line is about to be filled) while it means what is set.
  const typed = useSignal(formatStops(stop));
  const shown = formatStops(parseStops(typed.value)) === formatStops(stop) ? typed.value : formatStops(stop);
  return (
    <div class="slider">
      <label for={id}>{t('knob.stop')}</label>
      <textarea
        id={id}
        class="text stops"
        rows={2}
        spellcheck={false}
        aria-describedby={`${id}-hint`}
        value={shown}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
          sampling.value = { ...sampling.value, stop: parseStops(typed.value) };
        }}
      />
      <p class="hint" id={`${id}-hint`}>
        {t('knob.stop.hint')}
      </p>
    </div>
  );
}
