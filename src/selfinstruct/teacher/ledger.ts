// What a run has paid and what it may still have to pay, from the records of its journal.
import { type Amount, fromPico } from './money.ts';
import type { Spending } from './types.ts';

/** What became of one id. */
export interface Account {
  /** Of the request, without endpoint and model: they may change while a run goes on. */
  hash: string;
  /** Maxima of what was sent and has no known end, oldest first. After the answer: of tries that may have been paid as well. */
  open: (Amount & { endpoint: string; batch?: string })[];
  /** Where the answer's record lies in the journal. */
  answer?: { offset: number; length: number };
}

export interface Ledger {
  readonly accounts: ReadonlyMap<string, Account>;
  /** Everything open. */
  readonly held: Readonly<Amount>;
  readonly paid: Readonly<Amount>;
  ask(id: string, hash: string, maximum: Amount & { endpoint: string; batch?: string }): void;
  /** The last try of this id did not cost anything. */
  unpaid(id: string): void;
  /** @param settlesAll whether all tries of this id were one to the server. */
  answer(id: string, hash: string, used: Used, settlesAll: boolean, place: { offset: number; length: number }): void;
  spent(): Spending;
}

export interface Used {
  promptTokens: number;
  completionTokens: number;
  /** Pico. */
  cost: number;
}

export function createLedger(): Ledger {
  const accounts = new Map<string, Account>();
  const held: Amount = { tokens: 0, cost: 0 };
  const paid: Amount = { tokens: 0, cost: 0 };
  const counts = { requests: 0, promptTokens: 0, completionTokens: 0 };
  const account = (id: string, hash: string): Account => {
    let found = accounts.get(id);
    if (!found) {
      found = { hash, open: [] };
      accounts.set(id, found);
    }
    return found;
  };
  const release = (amount: Amount | undefined) => {
    held.tokens -= amount?.tokens ?? 0;
    held.cost -= amount?.cost ?? 0;
  };
  return {
    accounts,
    held,
    paid,
    ask(id, hash, maximum) {
      account(id, hash).open.push(maximum);
      held.tokens += maximum.tokens;
      held.cost += maximum.cost;
    },
    unpaid(id) {
      release(accounts.get(id)?.open.pop());
    },
    answer(id, hash, used, settlesAll, place) {
      const entry = account(id, hash);
      do release(entry.open.pop());
      while (settlesAll && entry.open.length > 0);
      entry.answer = place;
      counts.requests++;
      counts.promptTokens += used.promptTokens;
      counts.completionTokens += used.completionTokens;
      paid.tokens += used.promptTokens + used.completionTokens;
      paid.cost += used.cost;
    },
    spent: () => ({ ...counts, cost: fromPico(paid.cost) }),
  };
}
