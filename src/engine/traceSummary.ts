// onnxruntime's trace of a session, summed up by op. A trace is a JSON list in Chrome's trace event format
// (https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU), one event a line, and can be larger
// than a string may be: it is read line by line.
import { productFlops } from './products.ts';
import { mergeOps, type OpProfile } from './profile.ts';

type Shapes = readonly Readonly<Record<string, readonly number[]>>[];

interface TraceEvent {
  cat: string;
  name: string;
  /** Microseconds. */
  dur: number;
  args: { op_name?: string; input_type_shape?: Shapes; output_type_shape?: Shapes };
}

/** A shape is [{ float: [3, 8] }]; an optional input that is absent has none. */
const dims = (shapes: Shapes | undefined) => (shapes ?? []).map((s) => Object.values(s)[0] ?? []);

/**
 * @param lines the trace of one session.
 * @param counted whether the session's n-th run counts.
 * @returns the runs that the trace holds, counted or not, and the kernels of the counted ones.
 * @throws Error for a line that is not an event, as at the end of a file that was cut.
 */
export async function summariseTrace(
  lines: AsyncIterable<string> | Iterable<string>,
  counted: (run: number) => boolean,
): Promise<{ runs: number; ops: OpProfile[] }> {
  const ops = new Map<string, OpProfile>();
  let runs = 0;
  let closed = false;
  for await (const line of lines) {
    const text = line.trim().replace(/,$/, '');
    closed ||= text === ']';
    if (text === '' || text === '[' || text === ']') continue;
    const event = JSON.parse(text) as TraceEvent;
    // Kernels are written before the run that they belong to.
    if (event.cat === 'Session' && event.name === 'model_run') runs++;
    if (event.cat !== 'Node' || !event.name.endsWith('_kernel_time') || !counted(runs)) continue;
    const op = event.args.op_name ?? 'unknown';
    const sum = ops.get(op) ?? { op, calls: 0, seconds: 0, flops: 0 };
    ops.set(op, sum);
    sum.calls++;
    sum.seconds += event.dur / 1e6;
    sum.flops += productFlops(op, dims(event.args.input_type_shape), dims(event.args.output_type_shape)[0]);
  }
  if (!closed) throw new Error('the trace ends too early');
  return { runs, ops: mergeOps([[...ops.values()]]) };
}
