// /set: shows the knobs and what they come to, or changes some of them together.
import { nearNames, usageError } from '../../base/index.ts';
import { defaultKnobs, findKnob, type Knob, type Knobs, knobs } from '../knobs.ts';
import { checkKnobs, describeKnobs } from '../knobsInUse.ts';
import type { ChatState } from './chatState.ts';

function show({ out, knobs: now }: ChatState): void {
  for (const knob of knobs) {
    const value = knob.show(now[knob.key]);
    out.say(`  ${knob.name.padEnd(20)} ${value.padEnd(10)} ${knob.help.replace(/ \(default: .*\)$/, '')}`);
  }
  out.say(`mode: ${describeKnobs(now)}`);
}

function knobOf(name: string): Knob {
  const found = findKnob(name);
  if (found) return found;
  const near = nearNames(
    name.replaceAll('_', '-'),
    knobs.map((k) => k.name),
  );
  throw usageError(
    `there is no setting ${JSON.stringify(name)}`,
    near.length ? `Did you mean ${near.join(' or ')}?` : '/set shows them all.',
  );
}

/** A text may be quoted, to have line breaks and blanks in it. */
function unquoted(text: string): string {
  if (!text.startsWith('"')) return text;
  try {
    return String(JSON.parse(text));
  } catch {
    throw usageError(`${text} is no quoted text`);
  }
}

/** Pairs of name and value; for texts and files all of the rest is the value. */
function parsePairs(text: string): Partial<Knobs> {
  const changes: Record<string, unknown> = {};
  let rest = text.trim();
  while (rest !== '') {
    const [, name, after] = /^(\S+)\s*(.*)$/s.exec(rest)!;
    const knob = knobOf(name!);
    const whole = knob.key === 'stop' || knob.key === 'jsonSchema';
    const [, value = '', more = ''] = (whole ? /^(.*)()$/s : /^(\S*)\s*(.*)$/s).exec(after!)!;
    if (value === '') throw usageError(`${knob.name} needs a value`, 'default, or none, puts it back.');
    const reset = value === 'default' || value === 'none';
    changes[knob.key] = reset ? defaultKnobs[knob.key] : knob.parse(whole ? unquoted(value) : value);
    rest = more;
  }
  return changes;
}

/** `/set`, or `/set temperature 0.7 top-p 0.9`: all of them, or none where one is wrong. */
export function setKnobs(state: ChatState, text: string): void {
  if (text.trim() === '') {
    show(state);
    return;
  }
  const { assistant } = state;
  const changed = checkKnobs(
    { ...state.knobs, ...parsePairs(text) },
    { adapter: assistant.models.length > 1, vocabSize: assistant.generator.info.vocabSize },
  );
  state.knobs = changed;
  state.out.say(`mode: ${describeKnobs(changed)}`);
}
