// The one place for onnxruntime's settings; each line says what happens without it.
import type { InferenceSession } from 'onnxruntime-node';

export function sessionOptions(threads: number): InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // A pattern is remembered for every combination of input shapes: with packs of all sizes memory would grow for ever.
    enableMemPattern: false,
    // Failures reach us as exceptions; without this the library prints them too.
    logSeverityLevel: 4,
    extra: {
      session: {
        // Each session owns a thread pool whose threads spin after a run; several sessions on few cores then starve
        // the one that runs (measured: 4x slower).
        force_spinning_stop: '1',
        // Gradients are full of denormals, which cost the CPU a microcode trap each (measured: 1.6x slower).
        set_denormal_as_zero: '1',
      },
    },
  };
}
