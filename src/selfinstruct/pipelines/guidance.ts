// The lines of a prompt that ask for what the pool lacks.
import type { Rng } from '../../base/index.ts';
import type { Coverage } from '../prompts/coverage.ts';
import { fillTemplate } from '../prompts/fillTemplate.ts';
import type { PromptSet } from '../prompts/promptSet.ts';

/** @param coverage undefined: nothing is steered, and the lines go. */
export function guidanceOf({ templates, language }: PromptSet, coverage: Coverage | undefined, rng: Rng): string {
  if (!coverage) return '';
  const { topics, verbs } = coverage.gaps(rng, 4, 6);
  if (topics.length === 0 || verbs.length === 0) return '';
  const comma = language.words === 'characters' ? '、' : ', ';
  return fillTemplate(templates['guidance.txt'], { topics: topics.join(comma), verbs: verbs.join(comma) });
}
