export { openApiDocument } from './openapi.ts';
export { checkSettings, type RequestRecord, type ServerOptions, type ServerSettings } from './settings.ts';
export { type RunningServer, startServer } from './startServer.ts';
