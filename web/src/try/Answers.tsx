// The answers to one question: one, or two side by side.
import { AnswerCard } from './AnswerCard.tsx';
import type { Conversation, Turn } from './conversation.ts';

interface Props {
  label: string;
  turn: Turn;
  conversation: Conversation;
  /** Only the last question can be asked again. */
  last: boolean;
}

export function Answers({ label, turn, conversation, last }: Props) {
  return (
    <section class={turn.answers.length > 1 ? 'answers two' : 'answers'} aria-label={label}>
      {turn.answers.map((answer) => (
        <AnswerCard
          key={answer.id}
          answer={answer}
          onAgain={last ? () => conversation.regenerate(answer) : undefined}
        />
      ))}
    </section>
  );
}
