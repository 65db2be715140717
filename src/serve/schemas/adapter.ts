// POST /v1/huacaya/adapters.
import { z } from 'zod';

export const adapterBodySchema = z.strictObject({
  id: z.string().min(1).max(100).describe('letters, digits and . _ : @ + -'),
  folder: z.string().min(1).max(4096).describe('where it lies on the machine of the server'),
});
