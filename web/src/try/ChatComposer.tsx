// Where the next message is written.
import type { RefObject } from 'preact';
import { t } from '../i18n/i18n.ts';
import { sends } from '../ui/sendKeys.ts';
import { AskButton } from './AskButton.tsx';
import { conversations } from './conversation.ts';
import { draft } from './drafts.ts';

const conversation = conversations.chat;

export function ChatComposer({ field }: { field: RefObject<HTMLTextAreaElement | null> }) {
  const send = () => {
    const text = draft.chat.value.trim();
    if (text === '' || conversation.running.value) return;
    conversation.ask(text);
    draft.chat.value = '';
  };
  return (
    <form
      class="card composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        class="text"
        rows={1}
        aria-label={t('chat.message')}
        placeholder={t('chat.message.hint')}
        title={t('chat.keys')}
        value={draft.chat.value}
        onInput={(event) => {
          draft.chat.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (!sends(event, true)) return;
          event.preventDefault();
          send();
        }}
      />
      <AskButton conversation={conversation} />
    </form>
  );
}
