// onnxruntime-node (1.30) computes into the outputs that it is given, and then copies each of them into a new array for its
// caller. Ours never looks at those: of a training step they would be a fifth of the time and a gigabyte of garbage. The
// copies are made one by one, each handed to the Tensor constructor that the native part got when it was started. Ours ends
// that at the first output, which every program of ours has for this purpose (`firstOutput`, one number).
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { firstOutput } from '../graph/index.ts';

/** Thrown by our constructor, and by nobody else. */
const enough = new Error('the first output was made');

class NoTensor {
  constructor() {
    throw enough;
  }
}

interface NativeBinding {
  initOrtOnce(logLevel: number, tensor: unknown, isMainThread: boolean): void;
}

/** Call once in this thread, before the first session is made. Where it finds nothing to do, outputs are copied as ever. */
export function skipOutputCopies(): void {
  const require = createRequire(import.meta.url);
  const { binding } = require(join(dirname(require.resolve('onnxruntime-node')), 'binding.js')) as {
    binding?: NativeBinding;
  };
  const start = binding?.initOrtOnce;
  if (!start) return;
  binding.initOrtOnce = (logLevel, _tensor, isMainThread) => start.call(binding, logLevel, NoTensor, isMainThread);
}

/** Runs a session into the given outputs. @param first a one-element tensor for `firstOutput`. */
export async function runInto(
  session: InferenceSession,
  feeds: Record<string, Tensor>,
  fetches: Record<string, Tensor>,
  first: Tensor,
): Promise<void> {
  try {
    await session.run(feeds, { [firstOutput]: first, ...fetches });
  } catch (e) {
    if (e !== enough) throw e;
  }
}
