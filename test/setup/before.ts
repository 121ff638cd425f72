import type { TestProject } from 'vitest/node';
import { type Snapshot, takeSnapshot } from '../support/snapshot.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** What was there before the first test. */
    machineBefore: Snapshot;
  }
}

export default function rememberTheMachine(project: TestProject): void {
  project.provide('machineBefore', takeSnapshot());
}
