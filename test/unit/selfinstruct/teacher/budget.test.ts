// The budget holds to the token, whatever goes wrong on the way.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBudget } from '../../../../src/selfinstruct/teacher/budget.ts';
import { createLedger } from '../../../../src/selfinstruct/teacher/ledger.ts';
import { maximumOf, priceOf, toPico } from '../../../../src/selfinstruct/teacher/money.ts';
import { ask, server, setUp } from './helpers.ts';

const requests = Array.from({ length: 30 }, (_, i) => ask(`r/${i}`));

async function askAll(teacher: Awaited<ReturnType<typeof setUp>>['teacher']) {
  const results = await Promise.allSettled(requests.map((request) => teacher.ask(request)));
  return results.map((result) => (result.status === 'fulfilled' ? 'ok' : result.reason.code));
}

describe('the budget', () => {
  it.each([false, true])(
    'is never exceeded, with lost answers and a server that pays heed to keys: %s',
    async (idempotent) => {
      const one = await server({ faults: 0.3, idempotent, hangMs: 5 });
      const budget = { tokens: idempotent ? 1500 : 4000 };
      const { teacher, folder } = await setUp([{ url: one.url, idempotent, concurrency: 6 }], { budget });
      const codes = await askAll(teacher);
      expect(new Set(codes)).toEqual(new Set(['ok', 'BUDGET_SPENT']));
      // By the server's own count.
      expect(one.tokens()).toBeLessThanOrEqual(budget.tokens);
      expect(one.tokens()).toBeGreaterThan(500);
      await teacher.close();

      const before = one.asked.length;
      const more = await setUp([{ url: one.url, idempotent, concurrency: 6 }], { folder, budget: { tokens: 40_000 } });
      expect(new Set(await askAll(more.teacher))).toEqual(new Set(['ok']));
      const askedAgain = new Set(one.asked.slice(before).map(({ id }) => id));
      expect(codes.every((code, i) => code !== 'ok' || !askedAgain.has(`r/${i}`))).toBe(true);
      if (idempotent) expect([...one.paid().values()]).toEqual(requests.map(() => 1));
    },
  );

  it('says what was spent and how to go on', async () => {
    const one = await server({ answer: () => 'x'.repeat(400) });
    const { teacher } = await setUp([{ url: one.url, price: { input: 10, output: 100 } }], { budget: { cost: 0.05 } });
    const reply = await teacher.ask(ask('r/0'));
    expect(reply.cost).toBe((10 * reply.promptTokens + 100 * reply.completionTokens) / 1e6);
    for (let i = 1; i < 3; i++) await teacher.ask(ask(`r/${i}`));
    await expect(teacher.ask(ask('r/3'))).rejects.toMatchObject({
      code: 'BUDGET_SPENT',
      message: 'the budget is spent: 0.0305 of 0.05 for 3 answers; the next request could take 0.0206',
      hint: 'Nothing is lost: raise the budget and run the same command again, it goes on where it stopped.',
    });
    // What was answered is still there.
    expect(await teacher.ask(ask('r/0'))).toEqual(reply);
  });

  it('takes the price of the endpoint that is asked', async () => {
    const [cheap, dear] = [await server({ key: 'x' }), await server()];
    const { teacher, journal } = await setUp(
      [
        { url: cheap.url, weight: 9, price: { input: 0, output: 0 }, name: 'cheap' },
        { url: dear.url, price: { input: 1, output: 1 }, name: 'dear' },
      ],
      { budget: { cost: 1 } },
    );
    await teacher.ask(ask('a'));
    expect((await journal()).slice(1)).toMatchObject([
      { asked: 'a', endpoint: 'cheap', cost: 0 },
      { unpaid: 'a' },
      { asked: 'a', endpoint: 'dear', cost: maximumOf(ask('a'), priceOf({ input: 1, output: 1 })).cost / 1e12 },
      { answered: 'a', endpoint: 'dear' },
    ]);
  });

  it('in any order of beginnings and ends, paid and open stay within it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({ most: fc.integer({ min: 1, max: 50 }), used: fc.double({ min: 0, max: 1, noNaN: true }) }),
          {
            minLength: 1,
            maxLength: 40,
          },
        ),
        fc.integer({ min: 1, max: 200 }),
        fc.infiniteStream(fc.nat()),
        async (works, limit, dice) => {
          const ledger = createLedger();
          const budget = createBudget({ tokens: limit }, ledger);
          const running: (() => void)[] = [];
          let [ended, refused] = [0, 0];
          const check = () => expect(ledger.paid.tokens + ledger.held.tokens).toBeLessThanOrEqual(limit);
          works.forEach(({ most, used }, i) => {
            const amount = { tokens: most, cost: 0 };
            const begin = () => {
              ledger.ask(`${i}`, '', { ...amount, endpoint: 'e' });
              check();
              running.push(() => {
                const tokens = Math.floor(most * used);
                const use = { promptTokens: tokens, completionTokens: 0, cost: 0 };
                ledger.answer(`${i}`, '', use, false, { offset: 0, length: 0 });
                check();
                ended++;
                budget.done(amount);
              });
            };
            budget.admit(amount, begin).catch((error) => {
              expect(error.code).toBe('BUDGET_SPENT');
              refused++;
            });
          });
          while (running.length > 0) {
            running.splice(dice.next().value % running.length, 1)[0]!();
            await Promise.resolve();
          }
          await Promise.resolve();
          // Nobody waits for ever.
          expect(ended + refused).toBe(works.length);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('money', () => {
  it('is exact: prices of a token are whole numbers', () => {
    expect(priceOf({ input: 0.15, output: 0.6 })).toEqual({ input: 150_000, output: 600_000 });
    expect(priceOf({ input: 2.5, output: 10 }, 0.5)).toEqual({ input: 1_250_000, output: 5_000_000 });
    expect(toPico(0.000123)).toBe(123_000_000);
  });

  it('bounds a prompt by its bytes', () => {
    const { tokens } = maximumOf(ask('a', { prompt: '水の音', sampling: { maxTokens: 5 } }), priceOf(undefined));
    expect(tokens).toBeGreaterThanOrEqual(9 + 5);
    expect(tokens).toBeLessThan(9 + 5 + 64);
  });
});
