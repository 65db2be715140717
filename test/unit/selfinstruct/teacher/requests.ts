// Requests for tests, and no patience worth waiting for.
import type { TeacherPatience } from '../../../../src/selfinstruct/teacher/options.ts';
import type { TeacherRequest } from '../../../../src/selfinstruct/teacher/types.ts';

export const impatient: TeacherPatience = { firstWaitMs: 2, longestWaitMs: 8, restMs: 5, closeMs: 50 };

export const ask = (id: string, more: Partial<TeacherRequest> = {}): TeacherRequest => ({
  id,
  prompt: `Tell me something about ${id}.`,
  sampling: { maxTokens: 200, temperature: 1 },
  ...more,
});
