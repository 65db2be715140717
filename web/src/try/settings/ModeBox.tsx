// Says in words what the settings come to.
import { t } from '../../i18n/i18n.ts';
import { modeSentences } from '../modeWords.ts';
import { currentMode, sampling } from '../tryState.ts';

export function ModeBox() {
  const mode = currentMode.value;
  return (
    <section class={`mode-box ${mode.kind}`} aria-label={t('mode.label')}>
      <strong>{t(`mode.${mode.kind}`)}</strong>
      <p>{modeSentences(sampling.value, mode)}</p>
    </section>
  );
}
