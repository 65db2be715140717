// The Alpaca form: an instruction, an input that it may be about, and the answers.
import { useSignal } from '@preact/signals';
import { useEffect, useId, useRef } from 'preact/hooks';
import { t } from '../i18n/i18n.ts';
import { sendKey, sends } from '../ui/sendKeys.ts';
import { Answers } from './Answers.tsx';
import { AskButton } from './AskButton.tsx';
import { conversations } from './conversation.ts';
import { draft } from './drafts.ts';
import { Examples } from './Examples.tsx';
import { instructExamples } from './examples.ts';
import { other } from './tryState.ts';

const conversation = conversations.instruct;

export function Instruct() {
  const id = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  const missing = useSignal(false);
  const { instruction, input } = draft.instruct.value;
  const turn = conversation.turns.value.at(-1);
  useEffect(() => {
    // On a phone the answers start below the fold.
    if (turn) document.querySelector('.answers')?.scrollIntoView({ block: 'nearest' });
  }, [turn]);
  const send = () => {
    missing.value = instruction.trim() === '';
    if (missing.value) field.current?.focus();
    else conversation.ask(instruction.trim(), input.trim());
  };
  const edit = (change: { instruction?: string; input?: string }) => {
    draft.instruct.value = { instruction, input, ...change };
  };
  const clear = () => {
    conversation.clear();
    edit({ instruction: '', input: '' });
    field.current?.focus();
  };
  return (
    <>
      <form
        class="card ask"
        onSubmit={(event) => {
          event.preventDefault();
          if (!conversation.running.value) send();
        }}
        onKeyDown={(event) => {
          if (!sends(event) || conversation.running.value) return;
          event.preventDefault();
          send();
        }}
      >
        <label class="field" for={id}>
          {t('instruct.instruction')}
        </label>
        <textarea
          ref={field}
          id={id}
          class="text"
          rows={2}
          placeholder={t('instruct.instruction.hint')}
          aria-invalid={missing.value && instruction.trim() === '' ? true : undefined}
          value={instruction}
          onInput={(event) => edit({ instruction: event.currentTarget.value })}
        />
        <label class="field" for={`${id}-input`}>
          {t('instruct.input')} <span class="optional">{t('instruct.optional')}</span>
        </label>
        <textarea
          id={`${id}-input`}
          class="text"
          rows={2}
          placeholder={t('instruct.input.hint')}
          value={input}
          onInput={(event) => edit({ input: event.currentTarget.value })}
        />
        <div class="row">
          <span class="hint keys">{t('ask.keys', { key: sendKey })}</span>
          <button type="button" class="button" onClick={clear}>
            {t('ask.clear')}
          </button>
          <AskButton conversation={conversation} />
        </div>
      </form>
      {turn ? (
        <Answers label={t('instruct.answers')} turn={turn} conversation={conversation} last />
      ) : (
        <Examples
          title={t('empty.instruct')}
          text={t(other.value ? 'empty.instruct.text' : 'empty.instruct.single')}
          examples={instructExamples}
          onPick={(example) => {
            edit(example);
            field.current?.focus();
          }}
        />
      )}
    </>
  );
}
