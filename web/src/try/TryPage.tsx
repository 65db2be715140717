// The section where the model is tried: what to ask and whom on the left, how to decode on the right.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { t } from '../i18n/i18n.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { Segmented } from '../ui/Segmented.tsx';
import { useWide } from '../ui/useWide.ts';
import { Chat } from './Chat.tsx';
import { conversations } from './conversation.ts';
import { Instruct } from './Instruct.tsx';
import { ModeButton } from './ModeButton.tsx';
import { ModelPicker } from './ModelPicker.tsx';
import { Settings } from './settings/Settings.tsx';
import { mode } from './tryState.ts';

const modes = ['instruct', 'chat'] as const;

export function TryPage() {
  const wide = useWide();
  const open = useSignal(false);
  const close = () => {
    open.value = false;
  };
  useEffect(() => {
    document.addEventListener('keydown', stopOnEscape);
    return () => document.removeEventListener('keydown', stopOnEscape);
  }, []);
  return (
    <div class="try">
      <h1 class="hidden">{t('try.title')}</h1>
      <div class="toolbar">
        <Segmented
          label={t('try.modes')}
          value={mode.value}
          choices={modes.map((value) => ({ value, label: t(`try.mode.${value}`) }))}
          onChange={(value) => {
            mode.value = value;
          }}
        />
        <ModelPicker />
        {!wide && (
          <ModeButton
            onClick={() => {
              open.value = true;
            }}
          />
        )}
      </div>
      <div class="columns">
        <div class="work">{mode.value === 'instruct' ? <Instruct /> : <Chat />}</div>
        {wide && (
          <aside class="panel" aria-labelledby="decoding">
            <h2 id="decoding">{t('settings.title')}</h2>
            <Settings />
          </aside>
        )}
      </div>
      {!wide && open.value && (
        <Dialog title={t('settings.title')} kind="sheet" onClose={close}>
          <Settings />
          <div class="row end sheet-end">
            <button type="button" class="button primary" onClick={close}>
              {t('settings.close')}
            </button>
          </div>
        </Dialog>
      )}
    </div>
  );
}

/** Not while a dialog is open: there it closes the dialog. */
function stopOnEscape(event: KeyboardEvent): void {
  if (event.key === 'Escape' && !document.querySelector('dialog[open]')) conversations[mode.value].stop();
}
