// What is being written, kept while the person looks at the other mode or another section.
import { signal } from '@preact/signals';

export const draft = {
  instruct: signal({ instruction: '', input: '' }),
  chat: signal(''),
};
