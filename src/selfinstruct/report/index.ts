export { type ReportData, reportPage } from './reportPage.ts';
export { type VerbGroup, type VerbNoun, verbAndNoun, verbGroups } from './verbNoun.ts';
