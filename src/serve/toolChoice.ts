// tools and tool_choice: what the chat template is given, and how a call is forced.
import { badRequest } from './apiError.ts';
import type { ChatBody, ToolBody } from './schemas/chat.ts';
import { openTag, type ToolFormat, type ToolReaderOptions } from './toolCalls.ts';

export interface ToolPlan {
  /** For the chat template. */
  tools: readonly ToolBody[];
  reader: ToolReaderOptions;
  /** The answer must be a call. */
  forced: { lead: string; schema: unknown } | undefined;
}

/** @returns undefined where the answer is only text. @throws ApiError 400 for a choice that cannot be. */
export function planTools(body: ChatBody, format: ToolFormat): ToolPlan | undefined {
  const tools = body.tools ?? [];
  const choice = body.tool_choice ?? 'auto';
  if (tools.length === 0) {
    if (body.tool_choice && choice !== 'none' && choice !== 'auto') {
      throw badRequest('tool_choice asks for a call, and there are no tools', 'tool_choice');
    }
    return undefined;
  }
  const names = tools.map((tool) => tool.function.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw badRequest(`there are two tools with the name ${twice}`, 'tools');
  if (choice === 'none') return undefined;
  if (body.response_format && body.response_format.type !== 'text') {
    throw badRequest('response_format and tools contradict each other; set tool_choice to none', 'response_format');
  }
  const wanted = typeof choice === 'string' ? tools : tools.filter((t) => t.function.name === choice.function.name);
  if (wanted.length === 0) {
    throw badRequest('tool_choice names a function that is not among the tools', 'tool_choice');
  }
  const forced = choice !== 'auto';
  return {
    tools,
    reader: { format, names, ...(body.parallel_tool_calls === false || forced ? { most: 1 } : {}) },
    forced: forced ? { lead: format === 'tags' ? `${openTag}\n` : '', schema: callSchema(wanted, format) } : undefined,
  };
}

/** The JSON of a call of one of the tools. */
export function callSchema(tools: readonly ToolBody[], format: ToolFormat): unknown {
  const key = format === 'tags' ? 'arguments' : 'parameters';
  const calls = tools.map(({ function: { name, parameters } }, i) => {
    const place = `${tools.length > 1 ? `/anyOf/${i}` : ''}/properties/${key}`;
    return {
      type: 'object',
      // Without properties a model may call it with anything.
      properties: { name: { const: name }, [key]: rebase(parameters ?? { type: 'object' }, place) },
      required: ['name', key],
      additionalProperties: false,
    };
  });
  return calls.length === 1 ? calls[0] : { anyOf: calls };
}

/** A schema in another one: its references start from the root, which has moved. Bodies are at most 64 levels deep. */
function rebase(schema: unknown, place: string): unknown {
  if (Array.isArray(schema)) return schema.map((one) => rebase(one, place));
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => {
      if (key === '$ref' && typeof value === 'string' && value.startsWith('#'))
        return [key, `#${place}${value.slice(1)}`];
      return [key, values.has(key) ? value : rebase(value, place)];
    }),
  );
}

/** Keywords that hold values, not schemas. */
const values = new Set(['const', 'enum', 'default', 'examples']);
