// On narrow screens: opens the decoding settings, and says in two words what they come to.
import { t } from '../i18n/i18n.ts';
import { Icon } from '../ui/Icon.tsx';
import { modeSummary } from './modeWords.ts';
import { currentMode, sampling } from './tryState.ts';

export function ModeButton({ onClick }: { onClick: () => void }) {
  return (
    <button type="button" class="button mode-button" aria-haspopup="dialog" onClick={onClick}>
      <Icon name="sliders" />
      <span class="hidden">{t('settings.open')}: </span>
      <span>{modeSummary(sampling.value, currentMode.value)}</span>
    </button>
  );
}
