// A block of code with its language and a button that copies it.
import { t } from '../../i18n/i18n.ts';
import { CopyButton } from '../CopyButton.tsx';

export function CodeBlock({ text, language }: { text: string; language?: string | undefined }) {
  const name = language?.split(/\s/)[0] || t('answer.code');
  return (
    <section class="code" aria-label={name}>
      <header>
        <span>{name}</span>
        <CopyButton small text={() => text} label={t('answer.codeCopy')} />
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard. */}
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
    </section>
  );
}
