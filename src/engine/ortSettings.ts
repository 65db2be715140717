// The one place for onnxruntime's settings; each line says what happens without it.
import type { InferenceSession } from 'onnxruntime-node';

/** @param frugal memory matters more than speed. @param folder where the files of a model's constants are. */
export function sessionOptions(threads: number, frugal: boolean, folder?: string): InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // Each session holds on to what its largest run took, and a training pass has thirty of them: 1.9 GB of 3 GB for
    // three layers of a 1.1B model in int4. Without it memory is given back and asked for again in every run.
    enableCpuMemArena: !frugal,
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
        ...(folder !== undefined ? { model_external_initializers_file_folder_path: folder } : {}),
      },
    },
  };
}
