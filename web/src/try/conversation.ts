// Questions asked and answers given, in one mode of the page. The form keeps its last question, the chat all of them.
import { computed, signal } from '@preact/signals';
import type { ChatMessage, Question } from '../api/types.ts';
import { announceAnswer } from './announceAnswer.ts';
import { type Answer, isRunning, newAnswer } from './answer.ts';
import { runAnswer } from './runAnswer.ts';
import { newSeed } from './sampling.ts';
import { askedModels, sampling, servedSampling } from './tryState.ts';

export interface Turn {
  readonly id: number;
  /** What the person wrote; the input is there in the form only. */
  readonly text: string;
  readonly input: string;
  /** One for each model that was asked. */
  readonly answers: readonly Answer[];
}

let lastId = 0;

export class Conversation {
  readonly kind: Question['kind'];
  readonly turns = signal<readonly Turn[]>([]);
  readonly running = computed(() => this.turns.value.some((turn) => turn.answers.some(isRunning)));
  /** Put in front of a chat when it is not empty. */
  readonly system = signal('');

  constructor(kind: Question['kind']) {
    this.kind = kind;
  }

  ask(text: string, input = ''): void {
    const models = askedModels.value;
    if (models.length === 0 || this.running.value) return;
    const turn: Turn = { id: ++lastId, text, input, answers: models.map((m) => newAnswer(m.id)) };
    this.turns.value = this.kind === 'chat' ? [...this.turns.value, turn] : [turn];
    // One seed for both: what differs is the model.
    const seed = sampling.value.seed ?? newSeed();
    for (let column = 0; column < models.length; column++) this.#run(turn, column, seed);
  }

  /** The last question once more, with the settings of now. */
  regenerate(answer: Answer): void {
    const turn = this.turns.value.at(-1);
    const column = turn?.answers.indexOf(answer) ?? -1;
    if (turn && column >= 0 && !isRunning(answer)) this.#run(turn, column);
  }

  stop(): void {
    for (const turn of this.turns.value) for (const answer of turn.answers) answer.abort.abort();
  }

  clear(): void {
    this.stop();
    this.turns.value = [];
  }

  #run(turn: Turn, column: number, seed?: number): void {
    const answer = turn.answers[column]!;
    const over = runAnswer(answer, this.#question(turn, column), servedSampling.value, seed);
    over.finally(announceAnswer(answer, turn.answers.length > 1));
  }

  #question(turn: Turn, column: number): Question {
    if (this.kind === 'instruct') return { kind: 'instruct', instruction: turn.text, input: turn.input };
    const messages: ChatMessage[] = [];
    if (this.system.value.trim() !== '') messages.push({ role: 'system', content: this.system.value.trim() });
    for (const before of this.turns.value) {
      if (before === turn) break;
      // Each column goes on with its own answers; a turn without one would leave a question unanswered.
      const said = (before.answers[column] ?? before.answers[0])?.text.value ?? '';
      if (said !== '') messages.push({ role: 'user', content: before.text }, { role: 'assistant', content: said });
    }
    messages.push({ role: 'user', content: turn.text });
    return { kind: 'chat', messages };
  }
}

export const conversations = { instruct: new Conversation('instruct'), chat: new Conversation('chat') };
