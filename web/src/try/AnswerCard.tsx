// One answer: who says it, what, how it went, and what can be done with it.
import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { serverInfo } from '../api/server.ts';
import { t } from '../i18n/i18n.ts';
import { CopyButton } from '../ui/CopyButton.tsx';
import { Icon } from '../ui/Icon.tsx';
import { Markdown } from '../ui/markdown/Markdown.tsx';
import { AnswerFacts } from './AnswerFacts.tsx';
import { AnswerProgress } from './AnswerProgress.tsx';
import { type Answer, isRunning } from './answer.ts';
import { KeepSeed } from './KeepSeed.tsx';

interface Props {
  answer: Answer;
  onAgain: (() => void) | undefined;
}

export function AnswerCard({ answer, onAgain }: Props) {
  const id = useId();
  const raw = useSignal(false);
  const text = answer.text.value;
  const progress = answer.progress.value;
  const running = isRunning(answer);
  const kind = serverInfo.value?.models.find((m) => m.id === answer.model)?.kind;
  return (
    <article class="card answer" aria-labelledby={id} aria-busy={running}>
      <header>
        <h2 id={id}>{answer.model}</h2>
        {kind && <span class={`badge ${kind}`}>{t(`try.kind.${kind}`)}</span>}
        {running && <span class="pulse" />}
      </header>
      {text !== '' && (raw.value ? <p class="raw">{text}</p> : <Markdown text={text} />)}
      <AnswerProgress answer={answer} />
      {progress.phase === 'done' && <AnswerFacts end={progress.end} />}
      <div class="actions">
        {running ? (
          <button type="button" class="button quiet" onClick={() => answer.abort.abort()}>
            <Icon name="stop" />
            <span>{t('ask.stop')}</span>
          </button>
        ) : (
          <>
            {text !== '' && <CopyButton text={() => answer.text.value} />}
            {onAgain && (
              <button type="button" class="button quiet" onClick={onAgain}>
                <Icon name="again" />
                <span>{t(progress.phase === 'failed' ? 'answer.again' : 'answer.regenerate')}</span>
              </button>
            )}
            <KeepSeed answer={answer} />
            {text !== '' && (
              <button
                type="button"
                class="button quiet"
                aria-pressed={raw.value}
                onClick={() => {
                  raw.value = !raw.value;
                }}
              >
                <Icon name="code" />
                <span>{t('answer.raw')}</span>
              </button>
            )}
          </>
        )}
      </div>
    </article>
  );
}
