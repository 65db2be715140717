// OpenAI's Batch API: the same requests for half the price, answered within 24 hours. Three steps, each a call that ends soon:
//
//   await batchPrepare(requests, folder, { endpoint })   files `batch/requests-0001.jsonl`, ... for what has no answer yet
//   await batchSubmit(folder, endpoint, { budget })      uploads them and makes batches
//   await batchCollect(folder, endpoint)                 answers into the journal; what failed is prepared again: submit it
//
// The folder is that of the run: `createTeacher({ folder })` then answers these requests from its journal, without asking.
// Until a batch is collected, `ask` refuses its requests (TEACHER_IN_BATCH), because they would be paid twice.
// Results are matched by custom_id, which is the request's id. Steps can be killed and called again at any time:
// `batch/state.json` knows what may have been done, and the provider's lists of files and batches tell whether it was.
// Source: OpenAI's guide "Batch API": JSONL of { custom_id, method, url, body }, at most 50,000 requests and 200 MB.
export type { BatchOptions } from './client.ts';
export { type BatchCollected, batchCollect } from './collect.ts';
export { type BatchPrepared, type BatchPrepareOptions, batchPrepare } from './prepare.ts';
export { type BatchSubmitted, batchSubmit } from './submit.ts';
