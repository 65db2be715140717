// Tells a screen reader how an answer goes: that it started, a few sentences at a time, and its end. Two answers that grow at
// once would talk over each other, so of two only the ends are read.
import { effect } from '@preact/signals';
import { t } from '../i18n/i18n.ts';
import { announce } from '../ui/announcer.ts';
import type { Answer } from './answer.ts';

const pauseMs = 2000;

/** @returns what ends it. */
export function announceAnswer(answer: Answer, oneOfTwo: boolean): () => void {
  const { model } = answer;
  let said = 0;
  let lastTime = Date.now();
  if (!oneOfTwo) announce(t('say.started', { model }));
  return effect(() => {
    const progress = answer.progress.value;
    const text = answer.text.value;
    if (progress.phase === 'done') announce(t('say.finished', { model, text: text.slice(said).trim() }));
    if (progress.phase === 'stopped') announce(t('say.stopped', { model }));
    if (progress.phase === 'failed') announce(t('say.failed', { model, message: progress.error.message }));
    if (progress.phase !== 'streaming' || oneOfTwo || Date.now() - lastTime < pauseMs) return;
    const end = sentenceEnd(text);
    if (end <= said) return;
    announce(text.slice(said, end).trim());
    said = end;
    lastTime = Date.now();
  });
}

/** Where the last whole sentence or line ends. */
function sentenceEnd(text: string): number {
  return /^[\s\S]*(?:[.!?](?=\s)|[。！？\n])/.exec(text)?.[0].length ?? 0;
}
