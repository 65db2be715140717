// Sends, or stops while an answer runs. One button, so that the focus stays where it is.
import { t } from '../i18n/i18n.ts';
import { Icon } from '../ui/Icon.tsx';
import type { Conversation } from './conversation.ts';
import { model } from './tryState.ts';

export function AskButton({ conversation }: { conversation: Conversation }) {
  const running = conversation.running.value;
  return (
    <button
      type={running ? 'button' : 'submit'}
      class={running ? 'button primary stop' : 'button primary'}
      disabled={!model.value}
      onClick={(event) => {
        if (!running) return;
        // Once stopped this is the button that sends, before the browser acts on the click: it must not.
        event.preventDefault();
        // The second click of a double click would stop what the first one started.
        if (event.detail < 2) conversation.stop();
      }}
    >
      <Icon name={running ? 'stop' : 'send'} />
      <span>{t(running ? 'ask.stop' : 'ask.send')}</span>
    </button>
  );
}
