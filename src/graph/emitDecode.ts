// The ops of decodeOps.ts as onnxruntime's kernels.
import { type EmitRule, simple } from './emitter.ts';

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

  nBitsLinear: (e, { attrs }, inputs, outputs) => {
    const { bits, block, in: inner, out } = attrs as Record<string, number>;
    const kernel = { K: inner!, N: out!, bits: bits!, block_size: block!, accuracy_level: 4 };
    const numbers = Object.fromEntries(Object.entries(kernel).map(([name, int]) => [name, { int }]));
    e.nodeInto('MatMulNBits', inputs, outputs, numbers, contrib);
  },

  // Pooling sees [batch, channels, length]: one node where a reshape and a sum would be two.
  appendBlockMeans: (e, { attrs }, [x], outputs) => {
    const window = { ints: [attrs.block as number] };
    const means = e.node('AveragePool', [x!], { kernel_shape: window, strides: window });
    e.nodeInto('Concat', [x!, means], outputs, { axis: { int: -1 } });
  },

  cachedAttention: (e, node, inputs, outputs) => {
    const rest = inputs.slice(-6);
    const qkv = inputs.slice(0, -6);
    const { heads, kvHeads } = node.attrs as Record<string, number>;
    const attrs = { num_heads: { int: heads! }, kv_num_heads: { int: kvHeads! }, do_rotary: { int: 1 } };
    const apart = qkv.length === 3 ? qkv : [qkv[0]!, '', ''];
    e.nodeInto('GroupQueryAttention', [...apart, ...rest], outputs, attrs, contrib);
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
