// /compare: the same question to the base model and to adapters, at the same time; the conversation stays as it is.
import { answerJson, ask } from '../answer.ts';
import { sideBySide } from '../sideBySide.ts';
import { type ChatState, promptFor } from './chatState.ts';

/** @param text the question; '' is the last one again, after what was said before it. */
export async function compareModels(state: ChatState, text: string, signal: AbortSignal): Promise<void> {
  const { out, assistant, knobs, turns, model } = state;
  const [base, ...adapters] = assistant.models;
  if (adapters.length === 0) return out.say('there is no adapter to compare with: /adapter name=folder loads one');
  const last = turns.at(-1);
  const question = text || last?.question;
  if (question === undefined) return out.say('nothing was asked yet: /compare and a question');
  const before = text ? turns : turns.slice(0, -1);
  const models = [base!, ...(model.kind === 'adapter' ? [model] : adapters)];
  const answers = await Promise.all(
    models.map(async (m) => {
      const { prompt } = promptFor(state, m, before, question);
      return { model: m, made: await ask({ assistant, model: m, prompt, knobs, signal }) };
    }),
  );
  const asJson = answers.map(({ model, made }) => answerJson(assistant.tokenizer, model, made));
  out.json({ message: question, answers: asJson });
  if (out.format === 'json') return;
  const texts = answers.map(({ model, made }) => ({ title: model.id, text: made.text.trim() }));
  out.data([...sideBySide(texts, out.columns), ''].join('\n'));
}
