// Copies a text, and says so for a moment.
import { useSignal } from '@preact/signals';
import { t } from '../i18n/i18n.ts';
import { announce } from './announcer.ts';
import { Icon } from './Icon.tsx';

const shownMs = 1600;

export function CopyButton({ text, label, small }: { text: () => string; label?: string; small?: boolean }) {
  const copied = useSignal(false);
  const copy = async () => {
    if (!(await copyText(text()))) return;
    announce(t('answer.copied'));
    copied.value = true;
    setTimeout(() => {
      copied.value = false;
    }, shownMs);
  };
  const shown = copied.value ? t('answer.copied') : (label ?? t('answer.copy'));
  return (
    <button type="button" class="button quiet" aria-label={small ? shown : undefined} title={shown} onClick={copy}>
      <Icon name={copied.value ? 'check' : 'copy'} />
      {!small && <span>{shown}</span>}
    </button>
  );
}

/** The clipboard needs https or localhost; elsewhere the old command still works. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'hidden';
    document.body.append(area);
    const before = document.activeElement;
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    if (before instanceof HTMLElement) before.focus();
    return done;
  }
}
