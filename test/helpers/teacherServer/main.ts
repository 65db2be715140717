// The test teacher as a process of its own: options as JSON in the first argument; its address is printed, GET /paid counts.
import { startTeacherServer } from './index.ts';

const server = await startTeacherServer(JSON.parse(process.argv[2] ?? '{}'));
console.log(server.url);
