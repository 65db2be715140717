export { type ReportData, reportPage } from './reportPage.ts';
