// What stands where answers will be: a word of welcome and questions to start with.

import { Logo } from '../app/Logo.tsx';
import { t } from '../i18n/i18n.ts';
import type { ExamplePrompt } from './examples.ts';

interface Props {
  title: string;
  text: string;
  examples: readonly ExamplePrompt[];
  onPick: (example: { instruction: string; input: string }) => void;
}

export function Examples({ title, text, examples, onPick }: Props) {
  return (
    <section class="empty" aria-label={t('empty.examples')}>
      <Logo />
      <h2>{title}</h2>
      <p>{text}</p>
      <ul>
        {examples.map((example) => {
          const instruction = t(example.text);
          const input = example.input ? t(example.input) : '';
          return (
            <li key={example.text}>
              <button type="button" class="example" onClick={() => onPick({ instruction, input })}>
                {example.label && <strong>{t(example.label)}</strong>}
                <span>{instruction}</span>
                {input && <span class="example-input">{input}</span>}
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
