export { type AdamW, type AdamWOptions, clipGradients, createAdamW } from './adamw.ts';
export { learningRateAt, type Schedule, type ScheduleOptions, schedules } from './schedule.ts';
export { type StepReport, stepCount, type TrainEvent, type TrainOptions, type TrainResult, train } from './trainer.ts';
