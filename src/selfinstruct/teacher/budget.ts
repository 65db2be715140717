// The budget: a request's maximum is set aside before it is sent, so that what is spent never goes over the limit.
import { HuacayaError } from '../../base/index.ts';
import type { Ledger } from './ledger.ts';
import { type Amount, fromPico, toPico } from './money.ts';
import type { TeacherBudget } from './options.ts';

export interface Budget {
  /**
   * Calls `record`, which adds the maximum to the ledger, at the moment when there is room for it. Waits while requests under
   * way may still leave enough; `onWait` is the time to let go of everything that they may need to end.
   * @throws HuacayaError BUDGET_SPENT when not even their costing nothing would.
   */
  admit(maximum: Amount, record: () => void, onWait?: () => void): Promise<void>;
  /** This amount is in the ledger already, from an earlier process, and is now under way again. */
  resume(amount: Amount): void;
  /** The request is no longer under way: the ledger knows what it cost, or that this will never be known. */
  done(maximum: Amount): void;
}

interface Waiting {
  maximum: Amount;
  record: () => void;
  resolve: () => void;
  reject: (error: HuacayaError) => void;
}

export function createBudget(limits: TeacherBudget | undefined, ledger: Ledger): Budget {
  const tokens = limits?.tokens ?? Number.POSITIVE_INFINITY;
  const cost = limits?.cost === undefined ? Number.POSITIVE_INFINITY : toPico(limits.cost);
  /** The part of what the ledger holds that this process will settle. */
  const underWay = new Set<Amount>();
  const waiting: Waiting[] = [];

  const fits = (maximum: Amount, released: Amount) =>
    ledger.paid.tokens + ledger.held.tokens - released.tokens + maximum.tokens <= tokens &&
    ledger.paid.cost + ledger.held.cost - released.cost + maximum.cost <= cost;

  /** The first in the queue decides: a smaller request behind it must not keep it waiting for ever. */
  function settle(): void {
    for (let first = waiting[0]; first; first = waiting[0]) {
      const { maximum } = first;
      if (fits(maximum, { tokens: 0, cost: 0 })) {
        underWay.add(maximum);
        first.record();
        first.resolve();
      } else if (!fits(maximum, sum(underWay))) {
        first.reject(spentError(ledger, limits!, maximum));
      } else return;
      waiting.shift();
    }
  }
  return {
    admit(maximum, record, onWait) {
      return new Promise((resolve, reject) => {
        waiting.push({ maximum, record, resolve, reject });
        settle();
        // The first decides: where any is left, the newest is.
        if (waiting.length > 0) onWait?.();
      });
    },
    resume(amount) {
      underWay.add(amount);
    },
    done(maximum) {
      underWay.delete(maximum);
      settle();
    },
  };
}

function sum(amounts: Iterable<Amount>): Amount {
  const total = { tokens: 0, cost: 0 };
  for (const amount of amounts) {
    total.tokens += amount.tokens;
    total.cost += amount.cost;
  }
  return total;
}

/** @param maximum of the request that there is no room for. */
export function spentError(
  ledger: Ledger,
  limits: TeacherBudget,
  maximum: Amount,
  what = 'the next request',
): HuacayaError {
  const { paid, held } = ledger;
  const { requests } = ledger.spent();
  const byCost = limits.cost !== undefined && paid.cost + held.cost + maximum.cost > toPico(limits.cost);
  const [limit, used, open, next] = byCost
    ? [money(limits.cost!), money(fromPico(paid.cost)), held.cost && money(fromPico(held.cost)), fromPico(maximum.cost)]
    : [limits.tokens!, paid.tokens, held.tokens, maximum.tokens];
  const unit = byCost ? '' : ' tokens';
  const doubt = open ? `, up to ${open} more for requests without an answer` : '';
  const message =
    `the budget is spent: ${used} of ${limit}${unit} for ${requests} answers${doubt}; ` +
    `${what} could take ${byCost ? money(next) : next}`;
  return new HuacayaError('BUDGET_SPENT', message, {
    hint: 'Nothing is lost: raise the budget and run the same command again, it goes on where it stopped.',
  });
}

/** As many digits as small amounts need. */
export function money(cost: number): string {
  return cost >= 1 || cost === 0 ? cost.toFixed(2) : String(Number(cost.toPrecision(3)));
}
