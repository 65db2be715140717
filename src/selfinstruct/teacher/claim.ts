// What one request has set aside in the budget and in the journal, from before it is sent until its end is known.
import type { Budget } from './budget.ts';
import type { Journal } from './journal.ts';
import { type Amount, maximumOf } from './money.ts';
import { askedRecord } from './records.ts';
import type { Station } from './station.ts';
import type { TeacherRequest } from './types.ts';

export interface Claim {
  /**
   * Before a try at this endpoint: there is room in the budget, and the disk knows that it is asked.
   * @param onWait called when it has to wait for the budget: a place at the endpoint must not be kept meanwhile, because those
   * who could make room may need it.
   * @throws HuacayaError BUDGET_SPENT, NO_SPACE.
   */
  prepare(station: Station, onWait: () => void): Promise<void>;
  /** From here on the try may have been paid. With an endpoint that pays no heed to keys, the next one may be paid as well. */
  doubt(): void;
  /** The endpoint has said that this try was not paid. */
  noDoubt(): void;
  /** The journal has the answer. */
  settle(): void;
  /** It ends without an answer. What is in doubt stays in the ledger; the rest has cost nothing, and is written down so. */
  letGo(): Promise<void>;
}

export function createClaim(journal: Journal, budget: Budget, request: TeacherRequest, hash: string): Claim {
  const { id } = request;
  /** `before`: in doubt by an earlier try, which this one stands for as well. */
  let open: { station: Station; amount: Amount; inDoubt: boolean; before: boolean } | undefined;
  const lastTry = () => journal.ledger.accounts.get(id)?.open.at(-1);

  async function letGo(): Promise<void> {
    if (!open) return;
    const { amount, inDoubt } = open;
    open = undefined;
    try {
      if (!inDoubt) await journal.unpaid({ unpaid: id });
    } finally {
      budget.done(amount);
    }
  }
  return {
    async prepare(station, onWait) {
      if (open?.station === station && (!open.inDoubt || station.endpoint.idempotent)) {
        open.before = open.inDoubt;
        return;
      }
      await letGo();
      const last = lastTry();
      if (last && station.endpoint.idempotent && last.endpoint === station.name) {
        budget.resume(last);
        open = { station, amount: last, inDoubt: true, before: true };
        return;
      }
      const amount = maximumOf(request, station.price);
      let written: Promise<void> | undefined;
      await budget.admit(
        amount,
        () => {
          written = journal.asked(askedRecord(id, hash, { endpoint: station.name }, amount));
          written.catch(() => {});
        },
        onWait,
      );
      open = { station, amount, inDoubt: false, before: false };
      await written;
    },
    doubt() {
      if (open) open.inDoubt = true;
    },
    noDoubt() {
      if (open) open.inDoubt = open.before;
    },
    settle() {
      if (open) budget.done(open.amount);
      open = undefined;
    },
    letGo,
  };
}
