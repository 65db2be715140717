// The OpenAPI 3.1 document, made of the schemas that validate (https://spec.openapis.org/oas/v3.1.1).
import { z } from 'zod';
import { version } from '../version.ts';
import { adapterBodySchema } from './schemas/adapter.ts';
import { chatBodySchema, instructBodySchema } from './schemas/chat.ts';
import { completionBodySchema } from './schemas/completion.ts';
import * as replies from './schemas/replies.ts';

const schemas = {
  ChatCompletionRequest: chatBodySchema,
  InstructRequest: instructBodySchema,
  CompletionRequest: completionBodySchema,
  AdapterRequest: adapterBodySchema,
  ChatCompletion: replies.chatReply,
  ChatCompletionChunk: replies.chatChunk,
  Completion: replies.completionReply,
  Model: replies.modelReply,
  ModelList: replies.modelListReply,
  ModelEntry: replies.modelEntryReply,
  Info: replies.infoReply,
  Deleted: replies.deletedReply,
  Health: replies.healthReply,
  Error: replies.errorReply,
} as const;
type Name = keyof typeof schemas;

const ref = (name: Name) => ({ $ref: `#/components/schemas/${name}` });
const json = (name: Name) => ({ 'application/json': { schema: ref(name) } });
const failure = (description: string) => ({ description, content: json('Error') });

const common = {
  401: failure('No key, or a wrong one'),
  403: failure('A host or origin that may not call'),
};
const generation = {
  400: failure('A field that is unknown, wrong, or contradicts another'),
  404: failure('Unknown model'),
  413: failure('The body is too large'),
  415: failure('The body is not JSON'),
  429: failure('Too many answers wait; Retry-After says when to come again'),
  503: failure('The server is about to end'),
  504: failure('The answer took too long'),
  ...common,
};

const get = (summary: string, reply: Name, more: object = {}) => ({
  get: { summary, responses: { 200: { description: summary, content: json(reply) }, ...common }, ...more },
});

/** @param chunk what the events of a stream hold. */
const generate = (summary: string, body: Name, reply: Name, chunk: Name) => ({
  post: {
    summary,
    requestBody: { required: true, content: json(body) },
    responses: {
      200: {
        description: 'The answer; with stream: true server-sent events, each "data: <chunk>", the last "data: [DONE]"',
        content: { ...json(reply), 'text/event-stream': { schema: ref(chunk) } },
      },
      ...generation,
    },
  },
});

const id = { name: 'id', in: 'path', required: true, schema: { type: 'string' } };
const text = (summary: string, type: string) => ({
  get: { summary, responses: { 200: { description: summary, content: { [type]: {} } }, ...common } },
});

export function openApiDocument() {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Huacaya',
      version,
      description: "A language model and its adapters behind OpenAI's API.",
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ key: [] }, {}],
    paths: {
      '/v1/models': get('The base model and its adapters', 'ModelList'),
      '/v1/models/{id}': get('One of them', 'Model', { parameters: [id] }),
      '/v1/chat/completions': generate(
        'Answer a conversation',
        'ChatCompletionRequest',
        'ChatCompletion',
        'ChatCompletionChunk',
      ),
      '/v1/completions': generate('Go on with a text', 'CompletionRequest', 'Completion', 'Completion'),
      '/v1/huacaya/instruct': generate(
        'Answer an instruction, the Alpaca form',
        'InstructRequest',
        'ChatCompletion',
        'ChatCompletionChunk',
      ),
      '/v1/huacaya/info': get('What runs here', 'Info'),
      '/v1/huacaya/adapters': {
        post: {
          summary: 'Add an adapter (only with --allow-adapter-changes)',
          requestBody: { required: true, content: json('AdapterRequest') },
          responses: {
            201: { description: 'It can be asked for', content: json('ModelEntry') },
            400: failure('The folder holds no adapter that fits'),
            409: failure('The id is taken'),
            ...common,
          },
        },
      },
      '/v1/huacaya/adapters/{id}': {
        delete: {
          summary: 'Remove an adapter (only with --allow-adapter-changes)',
          parameters: [id],
          responses: {
            200: { description: 'It is gone', content: json('Deleted') },
            404: failure('Unknown model'),
            ...common,
          },
        },
      },
      '/healthz': get('Whether it serves; 503 while it ends', 'Health', { security: [{}] }),
      '/metrics': text('Figures for Prometheus', 'text/plain'),
      '/openapi.json': text('This document', 'application/json'),
    },
    components: { schemas: componentSchemas(), securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
  };
}

function componentSchemas(): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => {
      const { $schema, ...made } = z.toJSONSchema(schema, { io: 'input' });
      return [name, made];
    }),
  );
}
