// Light, dark, or as the system has it. The style sheet reads data-theme.
import { effect } from '@preact/signals';
import { oneOf, stored } from './stored.ts';

export const themes = ['system', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

export const theme = stored<Theme>('theme', () => 'system', oneOf(themes));

export function applyTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
  });
}
