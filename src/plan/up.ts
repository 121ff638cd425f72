import type { Observed, ObservedContainer } from '../model/observed.ts';
import type { Project, Service } from '../model/project.ts';
import { exclusiveClaims, isLive, refTo } from './container.ts';
import { type PlanDraft, draftPlan } from './draft.ts';
import { type Gates, addWaits, createGates } from './gates.ts';
import { type ServiceGraph, dependencyGraph, namespaceLenders } from './graph.ts';
import type { PlanOptions } from './options.ts';
import { orphansOf, selectServices } from './select.ts';
import { type Removal, type Slot, decideSlots, refToSlot } from './slots.ts';
import type { Plan } from './step.ts';
import {
  type NetworkDecision,
  type VolumeDecision,
  decideNetworks,
  decideVolumes,
  isOnNetwork,
  requireUnused,
  volumeKeys,
} from './surroundings.ts';
import { dependantStops } from './stops.ts';

/**
 * What has to happen so that the project is up as the file says: nothing when it is already.
 * @throws NO_SUCH_SERVICE, DEPENDENCY_CYCLE, CONFLICT
 */
export function planUp(project: Project, observed: Observed, options: PlanOptions): Plan {
  const asked = selectServices(project, dependencyGraph(project.services), options);
  return planServices({ project, observed, options, asked });
}

export interface ServicesRequest {
  readonly project: Project;
  readonly observed: Observed;
  readonly options: PlanOptions;
  /** Names of the services that shall be up. */
  readonly asked: ReadonlySet<string>;
  /** A service that gets no container here, but its networks, its volumes and what its dependencies must come to. */
  readonly guest?: Service;
}

/** `up` of exactly these services. @throws as planUp */
export function planServices(request: ServicesRequest): Plan {
  const draft = draftPlan(request.project.name);
  addSteps(draft, decideUp(request));
  return draft.finish();
}

interface Decisions {
  readonly project: Project;
  readonly options: PlanOptions;
  readonly graph: ServiceGraph;
  readonly networks: readonly NetworkDecision[];
  readonly volumes: readonly VolumeDecision[];
  readonly slots: ReadonlyMap<string, readonly Slot[]>;
  readonly removals: readonly Removal[];
  readonly notices: readonly string[];
  readonly guest: Service | undefined;
}

function decideUp(request: ServicesRequest): Decisions {
  const { project, observed, options, asked, guest } = request;
  const graph = dependencyGraph(project.services);
  const orphans = orphansOf(project, observed);
  const guests = guest === undefined ? [] : [guest];
  const { selected, networks } = selectWithNeighbours(project, observed, options, asked, guests);
  const { slots, removals } = decideSlots({ project, observed, options, graph, selected, networks });
  const cutOff = servicesCutOff(project, observed, selected, slots);
  if (cutOff.length > 0) return decideUp({ ...request, asked: new Set([...selected, ...cutOff]) });
  const leaving = options.removeOrphans ? orphans : [];
  requireUnused(
    networks,
    observed.containers.filter((container) => !isManaged(container, selected) && !leaving.includes(container)),
  );
  const volumes = decideVolumes(project, observed, [...servicesNamed(project, selected), ...guests]);
  return {
    project,
    options,
    graph,
    networks,
    volumes,
    slots,
    guest,
    removals: [...removals, ...leaving.map((container) => ({ container, because: 'no longer in the file' }))],
    notices: [...volumes.flatMap(({ notice }) => notice ?? []), ...orphanNotice(options.removeOrphans ? [] : orphans)],
  };
}

/** A network can only be made again together with everything on it, so services on it come along even when they were not named. */
function selectWithNeighbours(
  project: Project,
  observed: Observed,
  options: PlanOptions,
  asked: ReadonlySet<string>,
  guests: readonly Service[],
): { readonly selected: ReadonlySet<string>; readonly networks: readonly NetworkDecision[] } {
  const networks = decideNetworks(project, observed, [...servicesNamed(project, asked), ...guests]).map((decision) =>
    options.recreate === 'never' ? withoutRemoval(decision) : decision,
  );
  const remade = networks.flatMap(({ action, network, removed }): readonly { readonly key: string; readonly name: string }[] =>
    action === 'create' && !network.external ? [network] : removed,
  );
  const active = new Set(project.services.map((service) => service.name));
  const neighbours = observed.containers
    .filter(
      (container) => !container.oneOff && isLive(container) && active.has(container.service) && !asked.has(container.service),
    )
    .filter((container) => remade.some((network) => isOnNetwork(container, network)))
    .map((container) => container.service);
  return neighbours.length === 0
    ? { selected: asked, networks }
    : selectWithNeighbours(project, observed, options, new Set([...asked, ...neighbours]), guests);
}

/** Running services that were not asked for, but would lose the namespace they share with one that starts anew. */
function servicesCutOff(
  project: Project,
  observed: Observed,
  selected: ReadonlySet<string>,
  slots: ReadonlyMap<string, readonly Slot[]>,
): readonly string[] {
  const moved = [...slots]
    .filter(([, own]) => own.some(({ action }) => action !== 'leave' && action !== 'unpause'))
    .map(([name]) => name);
  const isUp = (name: string): boolean =>
    observed.containers.some((container) => container.service === name && isLive(container));
  return project.services
    .filter((service) => !selected.has(service.name) && namespaceLenders(service).some((name) => moved.includes(name)))
    .map((service) => service.name)
    .filter(isUp);
}

/** Nothing is replaced: a changed network stays as it is, one with a new name comes beside the old one. */
function withoutRemoval(decision: NetworkDecision): NetworkDecision {
  if (decision.action !== 'rebuild') return { ...decision, removed: [] };
  const isThere = decision.removed.some((network) => network.name === decision.network.name);
  return { ...decision, action: isThere ? 'leave' : 'create', removed: [] };
}

function isManaged(container: ObservedContainer, selected: ReadonlySet<string>): boolean {
  return !container.oneOff && selected.has(container.service);
}

function servicesNamed(project: Project, names: ReadonlySet<string>): readonly Service[] {
  return project.services.filter((service) => names.has(service.name));
}

function orphanNotice(orphans: readonly ObservedContainer[]): readonly string[] {
  if (orphans.length === 0) return [];
  const names = orphans.map((container) => container.name).join(', ');
  return [`containers of services that are no longer in the file: ${names} (--remove-orphans removes them)`];
}

/** Ids of the steps that later ones wait for. */
interface Emitted {
  readonly draft: PlanDraft;
  readonly decisions: Decisions;
  /** Network key → its create-network. */
  readonly networks: Map<string, number>;
  readonly volumes: Map<string, number>;
  /** Slot → the step that lays its container down. */
  readonly creates: Map<Slot, number>;
  /** Id of a container → its stop, and its remove. */
  readonly stops: Map<string, number>;
  /** Service → the stops of its containers. */
  readonly stopsOf: Map<string, number[]>;
  readonly removes: Map<string, number>;
}

/*
 * The order of the stages keeps the plan free of cycles: whatever a step waits for is in an earlier stage or, for starts, is the start
 * of a dependency. New containers are laid down before old ones are stopped, since laying down is what can be found impossible;
 * only a container on a network that is made again has to come after the stops.
 * Dependants are stopped before and started after what they depend on, so an interruption leaves them stopped, never half connected.
 */
function addSteps(draft: PlanDraft, decisions: Decisions): void {
  const emitted: Emitted = {
    draft,
    decisions,
    networks: new Map(),
    volumes: new Map(),
    creates: new Map(),
    stops: new Map(),
    stopsOf: new Map(),
    removes: new Map(),
  };
  const slots = decisions.graph.order.flatMap((name) => decisions.slots.get(name) ?? []);
  const comeAfterStops = slots.filter((slot) => isOnRebuiltNetwork(slot, decisions));
  decisions.notices.forEach(draft.notice);
  addVolumes(emitted);
  addPlainNetworks(emitted);
  for (const slot of slots) if (!comeAfterStops.includes(slot)) addCreate(emitted, slot);
  addStops(emitted, slots);
  addRebuiltNetworks(emitted);
  for (const slot of comeAfterStops) addCreate(emitted, slot);
  addRemoves(emitted, slots);
  addStarts(emitted);
}

function addVolumes({ draft, decisions, volumes }: Emitted): void {
  for (const { volume, fingerprint, action, because } of decisions.volumes) {
    if (action === 'create') volumes.set(volume.key, draft.add({ do: 'create-volume', volume, fingerprint }, because));
  }
}

function addPlainNetworks({ draft, decisions, networks }: Emitted): void {
  for (const decision of decisions.networks) {
    if (decision.action !== 'create' || losesUsers(decision, decisions)) continue;
    const { network, fingerprint, because } = decision;
    networks.set(network.key, draft.add({ do: 'create-network', network, fingerprint }, because));
  }
}

/** A network that is gone although containers run on it: they are stopped first, or an interruption would leave them cut off. */
function losesUsers(decision: NetworkDecision, { slots }: Decisions): boolean {
  if (decision.action !== 'create' || decision.network.external) return false;
  return [...slots.values()]
    .flat()
    .some((slot) => slot.kept !== undefined && stopsKept(slot) && isOnNetwork(slot.kept, decision.network));
}

function isOnRebuiltNetwork(slot: Slot, decisions: Decisions): boolean {
  const late = decisions.networks.filter((decision) => decision.action === 'rebuild' || losesUsers(decision, decisions));
  return late.some(({ network, removed }) => {
    const isWanted = slot.service.networks.some((attachment) => attachment.network === network.key);
    return (
      isWanted ||
      (slot.kept !== undefined && [network, ...removed].some((old) => isOnNetwork(slot.kept as ObservedContainer, old)))
    );
  });
}

function addCreate({ draft, decisions, networks, volumes, creates }: Emitted, slot: Slot): void {
  if (slot.action !== 'create' && slot.action !== 'recreate') return;
  const { service, name, number, fingerprint, kept, because } = slot;
  const replaces = kept === undefined || decisions.options.renewAnonVolumes ? {} : { replaces: kept.id };
  const after = [
    ...service.networks.map((attachment) => networks.get(attachment.network)),
    ...volumeKeys(service).map((key) => volumes.get(key)),
  ];
  creates.set(
    slot,
    draft.add({ do: 'create-container', name, service, number, oneOff: false, fingerprint, ...replaces }, because, after),
  );
}

interface Stop extends Removal {
  /** The step that lays the replacement down. */
  readonly after: number | undefined;
}

function addStops({ draft, decisions, creates, stops, stopsOf }: Emitted, slots: readonly Slot[]): void {
  const wanted = new Map<string, Stop[]>();
  const want = (stop: Stop): void => {
    wanted.set(stop.container.service, [...(wanted.get(stop.container.service) ?? []), stop]);
  };
  for (const slot of slots)
    if (slot.kept && stopsKept(slot)) want({ container: slot.kept, because: slot.because, after: creates.get(slot) });
  for (const removal of decisions.removals) if (isLive(removal.container)) want({ ...removal, after: undefined });

  for (const name of stopOrder(decisions.graph, wanted.keys())) {
    const before = dependantStops(decisions.graph, name, stopsOf);
    for (const { container, because, after } of wanted.get(name) ?? []) {
      const step = { do: 'stop-container', container: refTo(container), ...grace(decisions.options) } as const;
      const id = draft.add(step, because, [after, ...before]);
      stops.set(container.id, id);
      stopsOf.set(name, [...(stopsOf.get(name) ?? []), id]);
    }
  }
}

/** Dependants first; services that the file does not know, first of all. */
function stopOrder(graph: ServiceGraph, names: Iterable<string>): readonly string[] {
  const stopping = new Set(names);
  const unknown = [...stopping].filter((name) => !graph.dependencies.has(name)).sort();
  return [...unknown, ...graph.order.filter((name) => stopping.has(name)).reverse()];
}

function stopsKept(slot: Slot): boolean {
  return slot.kept !== undefined && isLive(slot.kept) && (slot.action === 'recreate' || slot.action === 'restart');
}

function grace({ timeoutMs }: PlanOptions): { readonly graceMs?: number } {
  return timeoutMs === undefined ? {} : { graceMs: timeoutMs };
}

function addRebuiltNetworks({ draft, decisions, networks, stops }: Emitted): void {
  const removed = decisions.networks.flatMap((decision) =>
    decision.removed.map((network) => draft.add({ do: 'remove-network', name: network.name }, decision.because, stops.values())),
  );
  for (const decision of decisions.networks) {
    if (decision.action !== 'rebuild' && !losesUsers(decision, decisions)) continue;
    const { network, fingerprint, because, action } = decision;
    // After all removals, since the new one may take over a subnet of another.
    const after = action === 'rebuild' ? removed : stops.values();
    networks.set(network.key, draft.add({ do: 'create-network', network, fingerprint }, because, after));
  }
}

function addRemoves({ draft, decisions, creates, stops, removes }: Emitted, slots: readonly Slot[]): void {
  const remove = (container: ObservedContainer, because: string, volumes: boolean, replacement?: number): void => {
    const after = [stops.get(container.id), replacement];
    removes.set(container.id, draft.add({ do: 'remove-container', container: refTo(container), volumes }, because, after));
  };
  for (const slot of slots) {
    if (slot.action === 'recreate' && slot.kept)
      remove(slot.kept, 'replaced', decisions.options.renewAnonVolumes, creates.get(slot));
  }
  for (const { container, because } of decisions.removals) remove(container, because, false);
}

function addStarts(emitted: Emitted): void {
  const { draft, decisions } = emitted;
  const { options, graph, guest } = decisions;
  const gates = createGates(draft, graph, decisions.slots, options.start);
  for (const slot of graph.order.flatMap((name) => decisions.slots.get(name) ?? [])) {
    if (startsNow(slot, options)) gates.began(slot, addStart(emitted, slot, gates));
  }
  if (guest !== undefined) gates.before(guest);
  if (options.wait && options.start) addWaits(draft, gates, decisions.slots, graph, options.waitTimeoutMs);
}

/** `create` starts nothing, but what it had to stop for a moment goes on. */
function startsNow({ action }: Slot, { start }: PlanOptions): boolean {
  return start ? action !== 'leave' : action === 'restart';
}

function addStart({ draft, decisions, networks, creates, stops, stopsOf, removes }: Emitted, slot: Slot, gates: Gates): number {
  const container = refToSlot(slot);
  if (slot.action === 'unpause') return draft.add({ do: 'unpause-container', container }, slot.because);
  const predecessors = [...(slot.kept ? [slot.kept] : []), ...twinRemovals(slot, decisions)];
  const after = [
    creates.get(slot),
    ...predecessors.flatMap(({ id }) => [stops.get(id), removes.get(id)]),
    // Were it to start first, an interruption would leave who shares its namespace running in a former one.
    ...dependantStops(decisions.graph, slot.service.name, stopsOf),
    ...rivals(slot, decisions).map(({ id }) => stops.get(id)),
    ...slot.service.networks.map((attachment) => networks.get(attachment.network)),
    ...gates.before(slot.service),
  ];
  return draft.add({ do: 'start-container', container }, startReason(slot), after);
}

function startReason(slot: Slot): string {
  if (slot.action === 'create') return 'just created';
  return slot.action === 'recreate' ? 'created anew' : slot.because;
}

/** Containers that give up a port or an address which this one needs. */
function rivals(slot: Slot, decisions: Decisions): readonly ObservedContainer[] {
  const claims = exclusiveClaims(slot.service);
  if (claims.length === 0) return [];
  const stopping = [
    ...decisions.removals.map((removal) => removal.container),
    ...[...decisions.slots.values()]
      .flat()
      .flatMap((other) => (other.kept !== undefined && stopsKept(other) ? [other.kept] : [])),
  ];
  return stopping.filter((container) => exclusiveClaims(container.spec).some((claim) => claims.includes(claim)));
}

/** Further containers with the same service and number: only one of them may run. */
function twinRemovals(slot: Slot, { removals }: Decisions): readonly ObservedContainer[] {
  const twins = removals.map((removal) => removal.container);
  return twins.filter((twin) => twin.service === slot.service.name && twin.number === slot.number);
}
