// Questions to start with, in the language of the page.
import type { TextKey } from '../i18n/en.ts';

export interface ExamplePrompt {
  label?: TextKey;
  text: TextKey;
  input?: TextKey;
}

export const instructExamples: readonly ExamplePrompt[] = [
  { label: 'example.explain.label', text: 'example.explain' },
  { label: 'example.write.label', text: 'example.write' },
  { label: 'example.translate.label', text: 'example.translate', input: 'example.translate.input' },
  { label: 'example.extract.label', text: 'example.extract', input: 'example.extract.input' },
];

export const chatExamples: readonly ExamplePrompt[] = [
  { text: 'example.chat.greet' },
  { text: 'example.chat.alpaca' },
  { text: 'example.chat.plan' },
  { text: 'example.chat.code' },
];
