// Where an answer stands when its text does not say it: waiting, stopped, empty, failed.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { ApiError } from '../api/apiError.ts';
import { t } from '../i18n/i18n.ts';
import { Icon } from '../ui/Icon.tsx';
import type { Answer } from './answer.ts';

export function AnswerProgress({ answer }: { answer: Answer }) {
  const progress = answer.progress.value;
  switch (progress.phase) {
    case 'waiting':
      return <p class="hint">{t('answer.waiting')}</p>;
    case 'retrying':
      return <Retrying at={progress.at} now={progress.now} />;
    case 'stopped':
      return <p class="hint">{t('answer.stopped')}</p>;
    case 'failed':
      return <Failure error={progress.error} />;
    case 'done':
      return answer.text.value.trim() === '' ? <p class="hint">{t('answer.empty')}</p> : null;
    default:
      return null;
  }
}

function Retrying({ at, now }: { at: number; now: () => void }) {
  const left = () => Math.max(0, Math.ceil((at - Date.now()) / 1000));
  const seconds = useSignal(left());
  useEffect(() => {
    seconds.value = left();
    const timer = setInterval(() => {
      seconds.value = left();
    }, 250);
    return () => clearInterval(timer);
  }, [at]);
  return (
    <p class="hint waiting-turn">
      {t('answer.retrying', { seconds: seconds.value })}{' '}
      <button type="button" class="button" onClick={now}>
        {t('answer.retryNow')}
      </button>
    </p>
  );
}

function Failure({ error }: { error: ApiError }) {
  const said = {
    lost: t('answer.lost'),
    busy: t('answer.busy', { message: error.message }),
    key: t('answer.key'),
    refused: error.message,
  }[error.kind];
  return (
    <div class="problem-text">
      <Icon name="warning" />
      <div>
        <p>{said}</p>
        {error.code === 'context_length_exceeded' && <p>{t('answer.tooLong')}</p>}
      </div>
    </div>
  );
}
