// /adapter: who answers, and who could.
import { checkId } from '../../assistant/node.ts';
import { splitAdapter } from '../adapterFlags.ts';
import { type ChatState, describeEntry } from './chatState.ts';

/** @param text a name, 'base', name=folder to load one, or '' to list them. */
export async function chooseModel(state: ChatState, text: string): Promise<void> {
  const { out, assistant } = state;
  if (text === '') {
    for (const m of assistant.models) out.say(`${m.id === state.model.id ? '*' : ' '} ${describeEntry(m)}`);
    return;
  }
  const known = assistant.models.some((m) => m.id === text);
  const split = splitAdapter(text);
  if (!known && split.id !== undefined) state.model = await assistant.addAdapter(checkId(split.id), split.folder);
  else state.model = assistant.entry(!known && text === 'base' ? assistant.id : text);
  out.say(describeEntry(state.model));
}
