// What the Try page remembers between visits: how to ask, whom, and with which decoding settings.
import { computed } from '@preact/signals';
import { serverInfo } from '../api/server.ts';
import type { ServedModel } from '../api/types.ts';
import { type Check, oneOf, stored } from '../app/stored.ts';
import { effectiveMode } from './effectiveMode.ts';
import { checkedSampling, presets, type Sampling } from './sampling.ts';

export type Mode = 'instruct' | 'chat';

const text: Check<string> = (value) => (typeof value === 'string' ? value : undefined);

export const mode = stored<Mode>('mode', () => 'instruct', oneOf(['instruct', 'chat']));

export const sampling = stored<Sampling>(
  'sampling',
  () => presets.balanced,
  (value) => checkedSampling(value, presets.balanced),
);

/** Longest answer that the server gives: more is not asked for. Absent while nobody has answered yet. */
export const mostTokens = computed(() => serverInfo.value?.max_new_tokens ?? serverInfo.value?.positions);

/** The settings as they can be served. */
export const servedSampling = computed<Sampling>(() => {
  const { maxTokens } = sampling.value;
  return { ...sampling.value, maxTokens: Math.min(maxTokens, mostTokens.value ?? maxTokens) };
});

export const currentMode = computed(() => effectiveMode(sampling.value));

/** What was picked; '' is the page's own choice, `alone` in the second no comparison. */
export const pickedModel = stored('model', () => '', text);
export const pickedOther = stored('compareWith', () => '', text);
export const alone = '-';

/** The model that is asked: the one picked, while it is served, else the base. */
export const model = computed<ServedModel | undefined>(() => {
  const served = serverInfo.value?.models ?? [];
  return served.find((m) => m.id === pickedModel.value) ?? served[0];
});

/** The one beside it: by default the first adapter, because the difference is what people come to see. */
export const other = computed<ServedModel | undefined>(() => {
  if (pickedOther.value === alone) return undefined;
  const served = serverInfo.value?.models ?? [];
  const rest = served.filter((m) => m.id !== model.value?.id);
  const picked = rest.find((m) => m.id === pickedOther.value);
  return picked ?? rest.find((m) => m.kind === 'adapter') ?? (pickedOther.value === '' ? undefined : rest[0]);
});

export const askedModels = computed<ServedModel[]>(() => [model.value, other.value].filter((m) => m !== undefined));
