// The ops of decodeOps.ts as onnxruntime's kernels.
import { type EmitRule, type OnnxAttrs, simple } from './emitter.ts';

const contrib = 'com.microsoft';
const toFloat32 = { to: { int: 1 } };

export const decodeRules: Record<string, EmitRule> = {
  toFloat: simple('Cast', toFloat32),

  embedTokens: (e, _node, [table, ids], outputs) => {
    e.nodeInto('Cast', [e.node('Gather', [table!, ids!], { axis: { int: 0 } })], outputs, toFloat32);
  },

  joinRows: (e, node, [x], outputs) => {
    e.nodeInto('Reshape', [x!, e.ints([-1, Number(node.inputs[0]!.shape[2])])], outputs);
  },

  splitRows: (e, _node, [x, like], outputs) => {
    const target = e.once(`split ${like}`, () => {
      const axes = e.node('Shape', [like!], { end: { int: 2 } });
      return e.node('Concat', [axes, e.ints([-1])], { axis: { int: 0 } });
    });
    e.nodeInto('Reshape', [x!, target], outputs);
  },

  nBitsLinear: (e, node, [x, ...matrix], outputs) => {
    const { bits, block, in: inner, out } = node.attrs as Record<string, number>;
    const kernel = { K: inner!, N: out!, bits: bits!, block_size: block!, accuracy_level: 4 };
    const numbers = Object.fromEntries(Object.entries(kernel).map(([name, int]) => [name, { int }]));
    const product = (rows: string) => [rows, ...matrix];
    // Pooling sees [batch, channels, length]: one node where a reshape and a sum would be two.
    const window = { ints: [block!] };
    const withMeans = (rows: string) => {
      if (!node.attrs.means) return rows;
      const means = e.node('AveragePool', [rows], { kernel_shape: window, strides: window });
      return e.node('Concat', [rows, means], { axis: { int: -1 } });
    };
    if (!node.attrs.fine) {
      e.nodeInto('MatMulNBits', product(withMeans(x!)), outputs, numbers, contrib);
      return;
    }
    // The kernel's own steps: a 127th of the largest magnitude in a block, rounded to nearest.
    const blocks = e.node('Reshape', [x!, e.ints([0, 0, -1, block!])]);
    const peak = e.node('ReduceMax', [e.node('Abs', [blocks]), e.ints([-1])], { keepdims: { int: 1 } });
    const step = e.node('Max', [e.node('Mul', [peak, e.float(1 / 127)]), e.float(1e-30)]);
    const held = e.node('Mul', [e.node('Round', [e.node('Div', [blocks, step])]), step]);
    const coarse = e.node('Reshape', [held, e.ints([0, 0, Number(node.inputs[0]!.shape[2])])]);
    const along = { axis: { int: 1 } };
    const both = e.node('Concat', [coarse, e.node('Sub', [x!, coarse])], along);
    const made = e.node('MatMulNBits', product(withMeans(both)), numbers, contrib);
    const parts = e.nodeInto('Split', [made], [e.fresh(), e.fresh()], { ...along, num_outputs: { int: 2 } });
    e.nodeInto('Add', parts, outputs);
  },

  cachedAttention: (e, node, inputs, outputs) => {
    const scales = node.attrs.scaled ? inputs.slice(-2) : [];
    const plain = inputs.slice(0, inputs.length - scales.length);
    const rest = plain.slice(-6);
    const qkv = plain.slice(0, -6);
    const { heads, kvHeads } = node.attrs as Record<string, number>;
    const { scale, softcap, window } = node.attrs as Record<string, number | undefined>;
    const attrs: OnnxAttrs = {
      num_heads: { int: heads! },
      kv_num_heads: { int: kvHeads! },
      do_rotary: { int: 1 },
      ...(scale === undefined ? {} : { scale: { float: scale } }),
      ...(softcap === undefined ? {} : { softcap: { float: softcap } }),
      ...(window === undefined ? {} : { local_window_size: { int: window } }),
    };
    const apart = qkv.length === 3 ? qkv : [qkv[0]!, '', ''];
    // Between the tables and the scales: positions, a bias and sinks, all absent.
    const held = scales.length > 0 ? ['', '', '', ...scales] : [];
    const kind = { string: 'PER_CHANNEL' };
    const codes = { k_quant_type: kind, v_quant_type: kind, kv_cache_bit_width: { int: 8 } };
    const all = scales.length > 0 ? { ...attrs, ...codes } : attrs;
    e.nodeInto('GroupQueryAttention', [...apart, ...rest, ...held], outputs, all, contrib);
  },

  topK: (e, { attrs }, [x], outputs) => {
    e.nodeInto('TopK', [x!, e.ints([attrs.k as number])], outputs, { axis: { int: -1 } });
  },

  logSumExp: (e, _node, [x], outputs) => {
    e.nodeInto('ReduceLogSumExp', [x!, e.ints([1])], outputs, { keepdims: { int: 1 } });
  },

  adjustLogits: (e, _node, [x, ids, repetition, more], outputs) => {
    const along = { axis: { int: 1 } };
    const old = e.node('GatherElements', [x!, ids!], along);
    const positive = e.node('Greater', [old, e.float(0)]);
    const shrunk = e.node('Where', [positive, e.node('Div', [old, repetition!]), e.node('Mul', [old, repetition!])]);
    e.nodeInto('ScatterElements', [x!, ids!, e.node('Add', [shrunk, more!])], outputs, along);
  },
};
