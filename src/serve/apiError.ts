// Every refusal and failure as OpenAI's clients expect it: {error: {message, type, param, code}} and a status.
import { HuacayaError } from '../base/index.ts';

export interface ApiErrorDetails {
  /** The field of the body that is wrong, e.g. 'messages[0].content'. */
  param?: string;
  /** Extra headers of the response. */
  headers?: Readonly<Record<string, string>>;
  cause?: unknown;
}

/** An answer that is an error. Its message goes to the client, so it holds nothing that a stranger may not read. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, details: ApiErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.param = details.param ?? null;
    this.headers = details.headers ?? {};
  }

  get body() {
    const type =
      this.status < 500 ? (this.status === 429 ? 'rate_limit_error' : 'invalid_request_error') : 'server_error';
    return { error: { message: this.message, type, param: this.param, code: this.code } };
  }
}

/** What the caller of a route did wrong, by the code of the error that its work ended with. */
const clientErrors: Readonly<Record<string, readonly [status: number, code: string, param?: string]>> = {
  USAGE: [400, 'invalid_value'],
  UNKNOWN_MODEL: [404, 'model_not_found', 'model'],
  UNKNOWN_ADAPTER: [404, 'model_not_found', 'model'],
  TOO_LONG: [400, 'context_length_exceeded'],
  TOKEN_RANGE: [400, 'invalid_value'],
  BAD_TOKEN_ID: [400, 'invalid_value'],
  NO_CHAT_TEMPLATE: [400, 'no_chat_template', 'model'],
  CHAT_REFUSED: [400, 'chat_refused', 'messages'],
  BAD_CHAT_TEMPLATE: [400, 'bad_chat_template', 'messages'],
  BAD_SCHEMA: [400, 'invalid_json_schema', 'response_format'],
  NO_TOKEN: [400, 'nothing_allowed'],
  BAD_ADAPTER: [400, 'bad_adapter', 'folder'],
  BAD_JSON: [400, 'bad_adapter', 'folder'],
  MISSING_TENSOR: [400, 'bad_adapter', 'folder'],
  TEMPLATE_NOT_FOUND: [400, 'bad_adapter', 'folder'],
  TEMPLATE_INVALID: [400, 'bad_adapter', 'folder'],
  ADAPTER_NOT_FOUND: [400, 'adapter_not_found', 'folder'],
  FILE_NOT_FOUND: [400, 'file_not_found', 'folder'],
  FILE_UNREADABLE: [400, 'file_unreadable', 'folder'],
};

/** Hints for the terminal name flags, which are of no use to a client. */
const withHint = ({ message, hint }: HuacayaError) => (hint && !hint.includes('--') ? `${message}. ${hint}` : message);

/** Anything that was thrown as an answer; what is not expected says nothing about the inside. */
export function toApiError(e: unknown): ApiError {
  if (e instanceof ApiError) return e;
  const known = e instanceof HuacayaError ? clientErrors[e.code] : undefined;
  if (known) {
    const [status, code, param] = known;
    return new ApiError(status, code, withHint(e as HuacayaError), { cause: e, ...(param ? { param } : {}) });
  }
  return new ApiError(500, 'internal_error', 'the server failed to answer; its log says why', { cause: e });
}

export const badRequest = (message: string, param?: string, code = 'invalid_value') =>
  new ApiError(400, code, message, param === undefined ? {} : { param });
