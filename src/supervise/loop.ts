/** The loop that keeps things up: it follows what happens to containers, looks after their health, and replaces a shim that was lost. */

import type { Machine } from '../apply/machine.ts';
import type { ContainerChange } from '../events.ts';
import type { ObservedContainer } from '../model/observed.ts';
import type { HealthCheck } from '../model/project.ts';
import { afterProbe, healthAtAdoption, healthAtStart, type HealthState, nextProbe } from './health.ts';
import { decideRestart } from './restart.ts';

type Reaction = 'begin-health' | 'end-health' | 'replace-shim';

/** What follows from what happened. The shim restarts by itself; only when it was lost nobody else can. */
const reactions: { readonly [A in ContainerChange['action']]: readonly Reaction[] } = {
  create: [],
  start: ['begin-health'],
  die: ['end-health', 'replace-shim'],
  restart: [],
  stop: ['end-health'],
  kill: [],
  destroy: ['end-health'],
  health: [],
  oom: [],
  pause: ['end-health'],
  unpause: ['begin-health'],
};

/** Follows every container of the machine, those that run already included; returns the way to stop. */
export function supervise(machine: Machine): () => void {
  const probing = new Map<string, AbortController>();
  const restartDelays = new Map<string, number>();

  const act: { readonly [R in Reaction]: (change: Pick<ContainerChange, 'id' | 'lost' | 'exitCode'>) => void } = {
    'begin-health': ({ id }) => {
      const container = machine.inspect(id);
      const check = container?.spec.healthcheck;
      if (!container || !check) return;
      act['end-health']({ id });
      const ended = new AbortController();
      probing.set(id, ended);
      void followHealth(machine, container, check, ended.signal);
    },
    'end-health': ({ id }) => {
      probing.get(id)?.abort(new Error('the container does not run'));
      probing.delete(id);
    },
    'replace-shim': ({ id, lost, exitCode }) => {
      if (lost) void restartLost(machine, id, exitCode ?? 137, restartDelays);
    },
  };

  const stop = machine.onChange((change) => {
    for (const reaction of reactions[change.action]) act[reaction](change);
  });
  void machine.observe().then(({ containers }) => {
    for (const { id, state } of containers) if (state === 'running' && !probing.has(id)) act['begin-health']({ id });
  });
  return () => {
    stop();
    for (const ended of probing.values()) ended.abort(new Error('supervision ends'));
  };
}

/** Probes for as long as the container runs; tells every change of its health. */
async function followHealth(
  machine: Machine,
  container: ObservedContainer,
  check: HealthCheck,
  ended: AbortSignal,
): Promise<void> {
  let state = beginning(machine, container, check);
  try {
    for (;;) {
      machine.setHealth(container.id, state.status);
      await machine.sleep(Math.max(0, nextProbe(check, state) - machine.now()), ended);
      state = await look(machine, container.id, check, state);
      if (ended.aborted) return;
    }
  } catch (error) {
    if (!ended.aborted) throw error;
  }
}

/** A container found with a verdict keeps it: a supervisor's death makes nobody unhealthy, and nobody starting. */
function beginning(machine: Machine, container: ObservedContainer, check: HealthCheck): HealthState {
  const now = machine.now();
  if (container.health === 'none' || container.health === 'starting') return healthAtStart(check, now);
  return healthAtAdoption(check, container.health, now, now);
}

/** A probe that cannot even be made counts as one that failed. */
async function look(machine: Machine, id: string, check: HealthCheck, state: HealthState): Promise<HealthState> {
  const beganAtMs = machine.now();
  const passed = await machine.probe(id, probeCommand(check), check.timeoutMs).then(
    ({ exitCode, timedOut }) => exitCode === 0 && !timedOut,
    () => false,
  );
  return afterProbe(check, state, { beganAtMs, endedAtMs: machine.now(), passed });
}

function probeCommand({ test: [kind, ...words] }: HealthCheck): readonly string[] {
  return kind === 'CMD-SHELL' ? ['/bin/sh', '-c', words.join(' ')] : words;
}

async function restartLost(machine: Machine, id: string, exitCode: number, delays: Map<string, number>): Promise<void> {
  const container = machine.inspect(id);
  if (!container) return;
  const ranMs = (container.finishedAt ?? 0) - (container.startedAt ?? 0);
  const { restarts, stoppedByUser } = container;
  const decision = decideRestart(container.spec.restart, {
    exitCode,
    ranMs,
    restarts,
    stoppedByUser,
    lastDelayMs: delays.get(id) ?? 0,
  });
  if (!decision.restart) return;
  delays.set(id, decision.delayMs);
  await machine.sleep(decision.delayMs);
  const now = machine.inspect(id);
  if (now && now.state === 'exited' && !now.stoppedByUser) await machine.startContainer(id).catch(() => undefined);
}
