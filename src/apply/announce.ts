import type { EventSink, ResourceKind } from '../events.ts';
import { subjectOf } from '../plan/print.ts';
import type { PlannedStep, Step } from '../plan/step.ts';

export interface StepVoice {
  readonly working: () => void;
  /** `text` in place of the usual word: how a wait came out. */
  readonly done: (text?: string) => void;
  readonly warning: (error: unknown) => void;
  readonly error: (error: unknown) => void;
}

/** Tells what becomes of a step, in the words docker compose uses. */
export function announce(tell: EventSink, { id, step, because }: PlannedStep): StepVoice {
  const { resource, working, done } = wordsFor(step);
  const about = { type: 'step', id, resource, name: subjectOf(step), because } as const;
  return {
    working: () => tell({ ...about, status: 'working', text: working }),
    done: (text) => tell({ ...about, status: 'done', text: text ?? done }),
    warning: (error) => {
      tell({ ...about, status: 'warning', text: 'Warning', details: messageOf(error) });
      tell({ type: 'warning', message: `optional dependency: ${messageOf(error)}` });
    },
    error: (error) => tell({ ...about, status: 'error', text: 'Error', details: messageOf(error) }),
  };
}

interface StepWords {
  readonly resource: ResourceKind;
  readonly working: string;
  readonly done: string;
}

const words: { readonly [Kind in Step['do']]: StepWords } = {
  'create-network': { resource: 'Network', working: 'Creating', done: 'Created' },
  'remove-network': { resource: 'Network', working: 'Removing', done: 'Removed' },
  'create-volume': { resource: 'Volume', working: 'Creating', done: 'Created' },
  'remove-volume': { resource: 'Volume', working: 'Removing', done: 'Removed' },
  'create-container': { resource: 'Container', working: 'Creating', done: 'Created' },
  'start-container': { resource: 'Container', working: 'Starting', done: 'Started' },
  'stop-container': { resource: 'Container', working: 'Stopping', done: 'Stopped' },
  'kill-container': { resource: 'Container', working: 'Killing', done: 'Killed' },
  'pause-container': { resource: 'Container', working: 'Pausing', done: 'Paused' },
  'unpause-container': { resource: 'Container', working: 'Unpausing', done: 'Unpaused' },
  'remove-container': { resource: 'Container', working: 'Removing', done: 'Removed' },
  'wait-container': { resource: 'Container', working: 'Waiting', done: 'Healthy' },
};

const recreation: StepWords = { resource: 'Container', working: 'Recreate', done: 'Recreated' };

function wordsFor(step: Step): StepWords {
  return step.do === 'create-container' && step.replaces !== undefined ? recreation : words[step.do];
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
