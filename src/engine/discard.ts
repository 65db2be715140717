// Gives an array's memory back at once. Left to the garbage collector it may stay for minutes: a thread that does nothing
// but wait for kernels makes so little garbage of its own that it hardly ever collects.
import { MessageChannel } from 'node:worker_threads';

const { port1, port2 } = new MessageChannel();
// What is sent to a port whose other end is closed is thrown away; a transferred buffer's memory goes with it.
port2.close();
port1.unref();

/** The array must own its memory; it has no elements afterwards. */
export function discard(data: ArrayBufferView): void {
  port1.postMessage(null, [data.buffer as ArrayBuffer]);
}
