// Asks for the server's key.
import { useId, useRef } from 'preact/hooks';
import { giveKey, keyAsked } from '../api/key.ts';
import { t } from '../i18n/i18n.ts';
import { Dialog } from '../ui/Dialog.tsx';

export function KeyDialog() {
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const asked = keyAsked.value;
  if (!asked) return null;
  const submit = (event: Event) => {
    event.preventDefault();
    const key = field.current!.value.trim();
    if (key !== '') giveKey(key);
  };
  return (
    <Dialog title={t('key.title')} kind="box" onClose={() => giveKey(undefined)}>
      <form onSubmit={submit}>
        {asked.wrong && (
          <p class="problem-text" role="alert">
            {t('key.wrong')}
          </p>
        )}
        <p>{t('key.text')}</p>
        <label class="field" for={id}>
          {t('key.label')}
        </label>
        <input
          ref={field}
          id={id}
          class="text"
          type="password"
          autofocus
          autocomplete="off"
          spellcheck={false}
          required
        />
        <div class="row end">
          <button type="button" class="button" onClick={() => giveKey(undefined)}>
            {t('key.cancel')}
          </button>
          <button type="submit" class="button primary">
            {t('key.ok')}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
