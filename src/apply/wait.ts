import { TscomposeError } from '../errors.ts';
import type { ObservedContainer } from '../model/observed.ts';
import { formatDuration } from '../model/units.ts';
import type { ContainerRef, Step } from '../plan/step.ts';
import type { Machine } from './machine.ts';

type WaitStep = Extract<Step, { do: 'wait-container' }>;

export interface ContainerWait extends Pick<WaitStep, 'container' | 'until' | 'timeoutMs'> {
  readonly id: string;
  readonly signal: AbortSignal;
}

/**
 * Waits until a container is as far as asked; resolves to the word that tells how ("Healthy", "Exited", "Started"). Looks only when
 * the machine tells a change. @throws DEPENDENCY_FAILED, CONTAINER_EXITED as soon as it can no longer come true; WAIT_TIMEOUT; the
 * signal's reason
 */
export function waitForContainer(machine: Machine, { container, id, until, timeoutMs, signal }: ContainerWait): Promise<string> {
  return new Promise((resolve, reject) => {
    const clock = new AbortController();
    const settle = (finish: () => void): void => {
      stopListening();
      signal.removeEventListener('abort', onAbort);
      clock.abort();
      finish();
    };
    const look = (): void => {
      const verdict = judge(machine.inspect(id), container, until);
      if (verdict.is === 'met') settle(() => resolve(verdict.text));
      if (verdict.is === 'hopeless') settle(() => reject(verdict.error));
    };
    const onAbort = (): void => settle(() => reject(signal.reason));
    const stopListening = machine.onChange((change) => {
      if (change.id === id) look();
    });
    signal.addEventListener('abort', onAbort);
    if (timeoutMs !== undefined) {
      const expire = (): void => settle(() => reject(timedOut(container, until, timeoutMs)));
      machine.sleep(timeoutMs, clock.signal).then(expire, () => {});
    }
    if (signal.aborted) onAbort();
    else look();
  });
}

export type Verdict =
  | { readonly is: 'pending' }
  | { readonly is: 'met'; readonly text: string }
  | { readonly is: 'hopeless'; readonly error: TscomposeError };

/** Whether what is waited for has come true, still can, or no longer can. Pure. */
export function judge(container: ObservedContainer | undefined, ref: ContainerRef, until: WaitStep['until']): Verdict {
  if (container === undefined) return hopeless('DEPENDENCY_FAILED', `container ${ref.name} was removed`, ref);
  return judges[until](container, ref);
}

const pending: Verdict = { is: 'pending' };

const judges: { readonly [Until in WaitStep['until']]: (container: ObservedContainer, ref: ContainerRef) => Verdict } = {
  started: ({ state }) => (state === 'created' ? pending : met('Started')),
  healthy: judgeHealthy,
  completed: judgeCompleted,
  'running-or-healthy': judgeRunningOrHealthy,
};

function judgeHealthy(container: ObservedContainer, ref: ContainerRef): Verdict {
  if (container.state === 'exited') {
    return hopeless(
      'DEPENDENCY_FAILED',
      `dependency failed to start: container ${ref.name} exited (${exitCodeOf(container)})`,
      ref,
    );
  }
  if (container.state !== 'running') return pending;
  if (container.health === 'healthy') return met('Healthy');
  if (container.health === 'unhealthy') {
    return hopeless('DEPENDENCY_FAILED', `dependency failed to start: container ${ref.name} is unhealthy`, ref);
  }
  if (container.health === 'none' && container.spec.healthcheck === undefined) {
    return hopeless('DEPENDENCY_FAILED', `dependency failed to start: container ${ref.name} has no healthcheck`, ref);
  }
  return pending;
}

function judgeCompleted(container: ObservedContainer, ref: ContainerRef): Verdict {
  if (container.state !== 'exited') return pending;
  if (container.exitCode === 0) return met('Exited');
  return hopeless(
    'DEPENDENCY_FAILED',
    `service "${ref.service}" didn't complete successfully: exit ${exitCodeOf(container)}`,
    ref,
  );
}

/** A container that ended well and is not to be started again has done its work: that is no failure of `--wait`. */
function judgeRunningOrHealthy(container: ObservedContainer, ref: ContainerRef): Verdict {
  if (container.state === 'exited') {
    const isDone =
      container.exitCode === 0 && (container.spec.restart.kind === 'no' || container.spec.restart.kind === 'on-failure');
    return isDone ? met('Exited') : hopeless('CONTAINER_EXITED', `container ${ref.name} exited (${exitCodeOf(container)})`, ref);
  }
  if (container.state !== 'running') return pending;
  if (container.health === 'unhealthy') return hopeless('DEPENDENCY_FAILED', `container ${ref.name} is unhealthy`, ref);
  if (container.health === 'healthy') return met('Healthy');
  return container.health === 'none' && container.spec.healthcheck === undefined ? met('Started') : pending;
}

function met(text: string): Verdict {
  return { is: 'met', text };
}

function hopeless(code: 'DEPENDENCY_FAILED' | 'CONTAINER_EXITED', message: string, { service }: ContainerRef): Verdict {
  return {
    is: 'hopeless',
    error: new TscomposeError(code, message, { service, hint: `"tscompose logs ${service}" shows what it said` }),
  };
}

function timedOut({ name, service }: ContainerRef, until: WaitStep['until'], timeoutMs: number): TscomposeError {
  const goal = until === 'running-or-healthy' ? 'running or healthy' : until;
  return new TscomposeError('WAIT_TIMEOUT', `container ${name} was not ${goal} within ${formatDuration(timeoutMs)}`, { service });
}

function exitCodeOf({ exitCode }: ObservedContainer): string {
  return exitCode === undefined ? 'unknown' : `${exitCode}`;
}
