// Collects the nodes and constants of an ONNX model; every name of a value is made here.
import { invariant } from '../base/index.ts';
import type { OnnxAttribute, OnnxDType, OnnxNode, OnnxTensor } from '../formats/index.ts';
import type { Node, Value } from './value.ts';

export type OnnxAttrs = Record<string, OnnxAttribute>;

/** How an op becomes nodes; the names of its outputs are given. */
export type EmitRule = (e: Emitter, node: Node, inputs: string[], outputs: string[]) => void;

export const simple =
  (op: string, attrs: OnnxAttrs = {}, domain = ''): EmitRule =>
  (e, _node, inputs, outputs) => {
    e.nodeInto(op, inputs, outputs, attrs, domain);
  };

export const flag = (x: unknown): OnnxAttribute => ({ int: x ? 1 : 0 });

export class Emitter {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxTensor[] = [];
  private readonly names = new Map<Value, string>();
  private readonly constants = new Map<string, string>();
  private readonly shared = new Map<string, string>();
  private count = 0;

  name(v: Value): string {
    const held = this.names.get(v);
    invariant(held !== undefined, `value of ${v.node.op} used before it was made`);
    return held;
  }

  bind(v: Value, name: string): void {
    this.names.set(v, name);
  }

  fresh(): string {
    return `%t${this.count++}`; // no input is called like this
  }

  /** Adds a node with one new output and returns its name. */
  node(op: string, inputs: readonly string[], attrs: OnnxAttrs = {}, domain = ''): string {
    return this.nodeInto(op, inputs, [this.fresh()], attrs, domain)[0]!;
  }

  nodeInto(op: string, inputs: readonly string[], outputs: string[], attrs: OnnxAttrs = {}, domain = ''): string[] {
    this.nodes.push({ op, inputs, outputs, attrs, domain });
    return outputs;
  }

  private constant(key: string, dtype: OnnxDType, dims: number[], data: ArrayBufferView): string {
    let name = this.constants.get(key);
    if (!name) {
      name = `%c${this.constants.size}`;
      this.constants.set(key, name);
      this.initializers.push({
        name,
        dtype,
        dims,
        data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      });
    }
    return name;
  }

  float(x: number): string {
    return this.constant(`f${x}`, 'float32', [], Float32Array.of(x));
  }

  code(x: number): string {
    return this.constant(`s${x}`, 'int8', [], Int8Array.of(x));
  }

  byte(x: number): string {
    return this.constant(`b${x}`, 'uint8', [], Uint8Array.of(x));
  }

  bytes(dims: number[], values: readonly number[]): string {
    return this.constant(`b${dims}:${values}`, 'uint8', dims, Uint8Array.from(values));
  }

  ints(values: readonly number[]): string {
    return this.constant(`i${values}`, 'int64', [values.length], BigInt64Array.from(values.map(BigInt)));
  }

  /** 1 as a matrix [1, 1]. */
  one(): string {
    return this.constant('one', 'float32', [1, 1], Float32Array.of(1));
  }

  ones(n: number): string {
    return this.constant(`ones${n}`, 'float32', [n], new Float32Array(n).fill(1));
  }

  /** What several nodes can share, made once. */
  once(key: string, make: () => string): string {
    const held = this.shared.get(key) ?? make();
    this.shared.set(key, held);
    return held;
  }
}
