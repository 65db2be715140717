// A conversation: what was said, and a field for the next message.
import { useRef } from 'preact/hooks';
import { t } from '../i18n/i18n.ts';
import { Icon } from '../ui/Icon.tsx';
import { useStickToEnd } from '../ui/useStickToEnd.ts';
import { Answers } from './Answers.tsx';
import { ChatComposer } from './ChatComposer.tsx';
import { conversations } from './conversation.ts';
import { draft } from './drafts.ts';
import { Examples } from './Examples.tsx';
import { chatExamples } from './examples.ts';
import { askedModels } from './tryState.ts';

const conversation = conversations.chat;

export function Chat() {
  const field = useRef<HTMLTextAreaElement>(null);
  const end = useRef<HTMLDivElement>(null);
  useStickToEnd(end, conversation);
  const turns = conversation.turns.value;
  const forgetful = askedModels.value.filter((m) => !m.remembers);
  return (
    <>
      <div class="chat-head">
        <details class="system">
          <summary>{t('chat.system')}</summary>
          <textarea
            class="text"
            rows={2}
            aria-label={t('chat.system')}
            placeholder={t('chat.system.hint')}
            value={conversation.system.value}
            onInput={(event) => {
              conversation.system.value = event.currentTarget.value;
            }}
          />
        </details>
        <button
          type="button"
          class="button"
          disabled={turns.length === 0}
          onClick={() => {
            conversation.clear();
            field.current?.focus();
          }}
        >
          <Icon name="plus" />
          <span>{t('chat.new')}</span>
        </button>
      </div>
      {forgetful.map((m) => (
        <p key={m.id} class="remark">
          {t('try.forgets', { model: m.id, template: m.template })}
        </p>
      ))}
      {turns.length === 0 ? (
        <Examples
          title={t('empty.chat')}
          text={t('empty.chat.text')}
          examples={chatExamples}
          onPick={({ instruction }) => {
            draft.chat.value = instruction;
            field.current?.focus();
          }}
        />
      ) : (
        <section class="transcript" aria-label={t('chat.conversation')}>
          {turns.map((turn, i) => (
            <div key={turn.id} class="turn">
              <div class="said">
                <span class="hidden">{t('chat.you')}: </span>
                {turn.text}
              </div>
              <Answers
                label={t('instruct.answers')}
                turn={turn}
                conversation={conversation}
                last={i === turns.length - 1}
              />
            </div>
          ))}
        </section>
      )}
      <div ref={end} />
      <ChatComposer field={field} />
    </>
  );
}
