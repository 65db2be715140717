// A question to the model that answers now: streamed, remembered, measured.
import { answerJson, ask, logprobLines, statsLine } from '../answer.ts';
import { isFixed } from '../knobsInUse.ts';
import { type ChatState, promptFor, type Turn } from './chatState.ts';

/** @returns the turn; undefined where the answer was stopped before it began. */
async function answer(
  state: ChatState,
  turns: readonly Turn[],
  question: string,
  signal: AbortSignal,
): Promise<Turn | undefined> {
  const { out, assistant, model } = state;
  const { prompt, dropped } = promptFor(state, model, turns, question);
  if (dropped > 0) out.say(`the conversation is too long for the model: the oldest ${dropped} turns are left out`);
  const knobs = { ...state.knobs, seed: state.knobs.seed + state.retries };
  const onText = (text: string) => {
    if (out.format !== 'json') out.piece(text);
  };
  const made = await ask({ assistant, model, prompt, knobs, signal, onText });
  if (out.format !== 'json') out.piece('\n');
  out.json({ message: question, ...answerJson(assistant.tokenizer, model, made) });
  for (const line of logprobLines(assistant.tokenizer, made.logprobs ?? [])) out.say(line);
  out.say(statsLine(made));
  const began = made.text !== '' || made.finish !== 'aborted';
  return began ? { question, answer: made.text, model: model.id } : undefined;
}

export async function answerTurn(state: ChatState, question: string, signal: AbortSignal): Promise<void> {
  state.retries = 0;
  const turn = await answer(state, state.turns, question, signal);
  if (turn) state.turns.push(turn);
}

/** Asks the last question again; the old answer stays where there is no new one. */
export async function retryTurn(state: ChatState, signal: AbortSignal): Promise<void> {
  const last = state.turns.at(-1);
  if (!last) return state.out.say('nothing was asked yet');
  if (isFixed(state.knobs)) state.out.say('this mode gives the same answer again: /set temperature 0.7');
  state.retries++;
  const turn = await answer(state, state.turns.slice(0, -1), last.question, signal);
  if (turn) state.turns[state.turns.length - 1] = turn;
}
