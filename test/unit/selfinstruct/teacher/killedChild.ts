// A process that the kill test kills: asks for n answers, writes their texts when it has them all.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTeacher } from '../../../../src/selfinstruct/teacher/createTeacher.ts';
import { ask, impatient } from './requests.ts';

const [url, folder, n] = process.argv.slice(2) as [string, string, string];
const teacher = createTeacher({
  endpoints: [{ url, model: 'teacher', concurrency: 6 }],
  folder,
  patience: impatient,
});
const replies = await Promise.all(Array.from({ length: Number(n) }, (_, i) => teacher.ask(ask(`r/${i}`))));
writeFileSync(join(folder, 'texts.json'), JSON.stringify(replies.map(({ text }) => text)));
await teacher.close();
