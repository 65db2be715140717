// Bodies that no sane client sends: the answer is one or says what is wrong, never a failure. Many more of them:
// bench/serverSoak.mjs.
import { Agent, request } from 'node:http';
import { expect, it } from 'vitest';
import { fuzzBody, random } from '../../../bench/fuzzBodies.mjs';
import { errorReply } from '../../../src/serve/schemas/replies.ts';
import { fakeServer } from '../../helpers/fakeServer.ts';

it('2,000 of them give answers or refusals only', async () => {
  const s = await fakeServer({ tools: 'tags' }, { allowAdapterChanges: true, maxQueue: 1000 });
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const send = (path: string, text: string) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
      const call = request(s.url + path, { method: 'POST', agent, headers }, (response) => {
        let all = '';
        response.setEncoding('utf8').on('data', (data) => {
          all += data;
        });
        response.on('end', () => resolve({ status: response.statusCode!, text: all }));
      });
      call.on('error', reject);
      call.end(text);
    });
  const next = random(1);
  const statuses = new Map<number, number>();
  for (let done = 0; done < 2000; done += 8) {
    const bodies = Array.from({ length: 8 }, () => fuzzBody(next));
    const answers = await Promise.all(bodies.map(({ path, text }) => send(path, text)));
    for (const [i, { status, text }] of answers.entries()) {
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const sent = `${bodies[i]!.path} ${bodies[i]!.text.slice(0, 400)}`;
      expect(Math.floor(status / 100), `${sent} -> ${status} ${text}`).toSatisfy((n) => n === 2 || n === 4);
      if (status >= 400) errorReply.parse(JSON.parse(text));
      else if (text.startsWith('data: ')) expect(text).toMatch(/\n\ndata: \[DONE\]\n\n$/);
      else expect(JSON.parse(text)).not.toHaveProperty('error');
    }
  }
  expect(s.errors).toEqual([]);
  expect(s.fake.live()).toBe(0);
  // It would be no test if nothing got through, or everything.
  expect(statuses.get(200)).toBeGreaterThan(100);
  expect(statuses.get(400)).toBeGreaterThan(500);
  agent.destroy();
  await s.close();
});
