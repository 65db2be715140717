// An engine can be closed in the middle of its work.
import { expect, it } from 'vitest';
import { view } from '../../../src/engine/index.ts';
import { createRuntime } from '../../../src/engine/node.ts';
import { input, matmul, program } from '../../../src/graph/index.ts';

const size = 1024;

it('ends while programs run and wait, and whoever waits is told', async () => {
  const runtime = await createRuntime({ threads: 1 });
  const [x, w] = [input('x', [size, size]), input('w', [size, size])];
  const compiled = await runtime.compile(program('product', { y: matmul(x, w) }));
  const matrix = () => view(runtime.alloc('float32', size * size), [size, size]);
  const [a, b, y] = [matrix(), matrix(), matrix()];
  for (let i = 0; i < 200; i++) runtime.run(compiled, { x: a, w: b }, { y });
  const waiting = expect(runtime.read(y)).rejects.toThrow('closed');
  await new Promise((go) => setTimeout(go, 20));
  await runtime.close();
  await waiting;
  expect(() => runtime.alloc('float32', 1)).toThrow('closed');
});

it('may be closed twice', async () => {
  const runtime = await createRuntime({ threads: 1 });
  await runtime.close();
  await runtime.close();
});
