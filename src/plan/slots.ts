import { TscomposeError } from '../errors.ts';
import { fingerprintService } from '../model/fingerprint.ts';
import type { Observed, ObservedContainer } from '../model/observed.ts';
import type { Project, Service } from '../model/project.ts';
import { compareContainer } from './compare.ts';
import { containerName, describeRest, hasCompleted, isLive, refTo, sortedContainers } from './container.ts';
import { type ServiceGraph, namespaceLenders } from './graph.ts';
import type { PlanOptions } from './options.ts';
import { wantedReplicas } from './select.ts';
import type { ContainerRef } from './step.ts';
import { type NetworkDecision, isOnNetwork } from './surroundings.ts';

/** What becomes of one wanted container. restart: stop and start the same one. */
export type SlotAction = 'leave' | 'create' | 'recreate' | 'start' | 'restart' | 'unpause';

/** The place of one container: a service and a number. */
export interface Slot {
  readonly service: Service;
  readonly number: number;
  readonly name: string;
  readonly fingerprint: string;
  /** The container that is there for it already. */
  readonly kept?: ObservedContainer;
  readonly action: SlotAction;
  readonly because: string;
}

/** A container that has to go. */
export interface Removal {
  readonly container: ObservedContainer;
  readonly because: string;
}

export interface SlotDecisions {
  /** Service → its wanted containers by number. */
  readonly slots: ReadonlyMap<string, readonly Slot[]>;
  readonly removals: readonly Removal[];
}

/** What slots are decided from. */
export interface SlotQuestion {
  readonly project: Project;
  readonly observed: Observed;
  readonly options: PlanOptions;
  readonly graph: ServiceGraph;
  readonly selected: ReadonlySet<string>;
  readonly networks: readonly NetworkDecision[];
}

/** Decides on every container of the selected services, dependencies first: what happens to them can drag their dependants along. */
export function decideSlots(question: SlotQuestion): SlotDecisions {
  const slots = new Map<string, readonly Slot[]>();
  const removals: Removal[] = [];
  const services = new Map(question.project.services.map((service) => [service.name, service]));
  for (const name of question.graph.order) {
    const service = services.get(name);
    if (service === undefined || !question.selected.has(name)) continue;
    const wanted = { service, fingerprint: fingerprintService(service, question.project) };
    const places = assignPlaces(wanted, question);
    removals.push(...places.removals);
    slots.set(
      name,
      places.wanted.map((place) => decideSlot(wanted, place, question, slots)),
    );
  }
  return { slots, removals };
}

/** How a step names the slot's container: by its id when it is there and stays. */
export function refToSlot({ action, kept, name, service }: Slot): ContainerRef {
  const isNew = action === 'create' || action === 'recreate';
  return isNew || kept === undefined ? { name, service: service.name } : refTo(kept);
}

/** What was decided on the services so far. */
type Decided = ReadonlyMap<string, readonly Slot[]>;

interface Wanted {
  readonly service: Service;
  readonly fingerprint: string;
}

interface Place {
  readonly number: number;
  readonly container: ObservedContainer | undefined;
}

/** Which container is the one with which number: surplus goes from the highest number, what lacks gets the lowest free ones. */
function assignPlaces(from: Wanted, question: SlotQuestion): { wanted: readonly Place[]; removals: readonly Removal[] } {
  const { service } = from;
  const replicas = wantedReplicas(service, question.options);
  if (replicas > 1 && service.containerName !== undefined) throw oneNameForMany(service);
  const own = question.observed.containers.filter((container) => container.service === service.name && !container.oneOff);
  const groups = [...groupByNumber(own)].sort(([a], [b]) => a - b);
  const [staying, surplus] = [groups.slice(0, replicas), groups.slice(replicas)];
  const chosen = staying.map(([number, group]) => ({ number, container: chooseContainer(group, from), group }));
  const leftovers = chosen.flatMap(({ container, group }) => group.filter((other) => other !== container));
  const free = freeNumbers(new Set(staying.map(([number]) => number)), replicas - staying.length);
  return {
    wanted: [...chosen, ...free.map((number) => ({ number, container: undefined }))].sort((a, b) => a.number - b.number),
    removals: [
      ...leftovers.map((container) => ({ container, because: 'left over from an interrupted replacement' })),
      ...surplus.flatMap(([, group]) => group).map((container) => ({ container, because: `scaled down to ${replicas}` })),
    ],
  };
}

function groupByNumber(containers: readonly ObservedContainer[]): ReadonlyMap<number, readonly ObservedContainer[]> {
  const groups = new Map<number, ObservedContainer[]>();
  for (const container of sortedContainers(containers)) {
    const group = groups.get(container.number);
    if (group === undefined) groups.set(container.number, [container]);
    else group.push(container);
  }
  return groups;
}

/**
 * Of several containers with one number (an interrupted replacement leaves two): the one that is as wanted, then one that runs, then the
 * newest. Running before newest, so that nothing healthy is stopped for a twin that never started.
 */
function chooseContainer(group: readonly ObservedContainer[], { service, fingerprint }: Wanted): ObservedContainer | undefined {
  const rank = (container: ObservedContainer): number =>
    (compareContainer(container, service, fingerprint).is === 'same' ? 2 : 0) + (isLive(container) ? 1 : 0);
  // Groups are sorted from old to new, so that >= prefers the newer of equals.
  return group.reduce((best, candidate) => (rank(candidate) >= rank(best) ? candidate : best));
}

function freeNumbers(taken: ReadonlySet<number>, count: number): readonly number[] {
  const free: number[] = [];
  for (let number = 1; free.length < count; number++) if (!taken.has(number)) free.push(number);
  return free;
}

function decideSlot(wanted: Wanted, { number, container }: Place, question: SlotQuestion, decided: Decided): Slot {
  const { service, fingerprint } = wanted;
  if (container === undefined) {
    return {
      service,
      number,
      name: containerName(question.project, service, number),
      fingerprint,
      action: 'create',
      because: 'not there',
    };
  }
  const common = { service, number, fingerprint, kept: container };
  const recreate = reasonToRecreate(wanted, container, question, decided);
  if (recreate !== undefined) {
    return { ...common, name: containerName(question.project, service, number), action: 'recreate', because: recreate };
  }
  return { ...common, name: container.name, ...decideExisting(service, container, question, decided) };
}

function reasonToRecreate(
  { service, fingerprint }: Wanted,
  container: ObservedContainer,
  question: SlotQuestion,
  decided: Decided,
): string | undefined {
  const policy = recreatePolicy(service, question.options);
  if (policy === 'never') return undefined;
  const compared = compareContainer(container, service, fingerprint);
  if (compared.is === 'changed' && !compared.onlyAround) return compared.because;
  const rebuilt = question.networks.find(
    ({ action, removed }) => action === 'rebuild' && removed.some((old) => isOnNetwork(container, old)),
  );
  if (rebuilt !== undefined) return `network ${rebuilt.network.name}: ${rebuilt.because}`;
  if (compared.is === 'changed') return compared.because;
  if (policy === 'always') return 'recreation was asked for';
  const lender = lenderSlots(service, decided).find((slot) => slot.action === 'recreate');
  return lender && `shares a namespace of ${lender.name}, which is recreated`;
}

/** `--force-recreate` is about the services that were named; their dependencies follow only with `--always-recreate-deps`. */
function recreatePolicy(service: Service, options: PlanOptions): PlanOptions['recreate'] {
  if (options.services.length === 0 || options.services.includes(service.name)) return options.recreate;
  if (options.alwaysRecreateDeps) return 'always';
  return options.recreate === 'never' ? 'never' : 'changed';
}

function decideExisting(
  service: Service,
  container: ObservedContainer,
  question: SlotQuestion,
  decided: Decided,
): { readonly action: SlotAction; readonly because: string } {
  const { start } = question.options;
  const followed =
    reasonToReconnect(container, question) ?? reasonToFollow(service, decided, start) ?? reasonToFinishStop(container, start);
  if (isLive(container) && followed !== undefined) return { action: 'restart', because: followed };
  const isAsItShouldBe =
    container.state === 'running' || container.state === 'restarting' || isFinishedOneShot(container, question);
  if (!start || isAsItShouldBe) return { action: 'leave', because: '' };
  return { action: container.state === 'paused' ? 'unpause' : 'start', because: describeRest(container) };
}

/** Its bridge is gone and comes back as another one: only a new start connects it, also when starting is not asked for otherwise. */
function reasonToReconnect(container: ObservedContainer, { networks }: SlotQuestion): string | undefined {
  const lost = networks.find(
    ({ action, network }) => action === 'create' && !network.external && isOnNetwork(container, network),
  );
  return lost && `network ${lost.network.name} was gone`;
}

/** A dependency that starts anew takes along who shares a namespace with it, and who asked for it (`restart: true`). */
function reasonToFollow(service: Service, decided: Decided, start: boolean): string | undefined {
  const lender = lenderSlots(service, decided).find(
    ({ action }) => action === 'restart' || (start && (action === 'create' || action === 'start')),
  );
  if (lender !== undefined) return `shares a namespace of ${lender.name}, which starts anew`;
  const dependencies = service.dependsOn
    .filter((dependency) => dependency.restart)
    .flatMap((dependency) => decided.get(dependency.service) ?? []);
  const moved = dependencies.find(({ action }) => action === 'restart' || (start && action === 'recreate'));
  return moved && `depends on ${moved.name}, which is ${moved.action === 'recreate' ? 'recreated' : 'restarted'}`;
}

/** A stop that was interrupted goes on by itself: a container that looks fine now would be gone in a moment. */
function reasonToFinishStop(container: ObservedContainer, start: boolean): string | undefined {
  return start && container.stoppedByUser ? 'was being stopped' : undefined;
}

/** The containers whose namespaces a service joins: the first of each lending service. */
function lenderSlots(service: Service, decided: Decided): readonly Slot[] {
  return namespaceLenders(service).flatMap((name) => (decided.get(name) ?? []).slice(0, 1));
}

/** Others wait for its end and it has ended well: `up` does not run it again, unless it is asked for by name. */
function isFinishedOneShot(container: ObservedContainer, { project, options }: SlotQuestion): boolean {
  if (!hasCompleted(container) || options.services.includes(container.service)) return false;
  const dependencies = project.services.flatMap((service) => service.dependsOn);
  return dependencies.some(
    ({ service, condition }) => service === container.service && condition === 'service_completed_successfully',
  );
}

function oneNameForMany(service: Service): TscomposeError {
  return new TscomposeError('CONFLICT', `service "${service.name}" has a container_name and can have only one container`, {
    service: service.name,
    hint: 'remove container_name, or scale it to 1',
  });
}
