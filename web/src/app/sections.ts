// The sections of the page. A new one is an entry here, its texts in i18n/, and its own folder.
import { signal } from '@preact/signals';
import type { ComponentType } from 'preact';
import type { TextKey } from '../i18n/en.ts';
import { TryPage } from '../try/TryPage.tsx';

export interface Section {
  id: string;
  title: TextKey;
  Page: ComponentType;
}

export const sections: readonly [Section, ...Section[]] = [{ id: 'try', title: 'section.try', Page: TryPage }];

const fromAddress = () => sections.find((s) => `#/${s.id}` === location.hash) ?? sections[0];

/** Which one is shown: the address after '#', so that back, forward and bookmarks work without a rule in the server. */
export const section = signal(fromAddress());

addEventListener('hashchange', () => {
  section.value = fromAddress();
});
