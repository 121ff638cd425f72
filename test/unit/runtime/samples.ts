import type { Service } from '../../../src/model/project.ts';
import type { BundleInput } from '../../../src/runtime/bundle.ts';
import { boundingSetOf } from '../../../src/runtime/capabilities.ts';
import type { CgroupLayout } from '../../../src/runtime/cgroup-layout.ts';
import type { LowerContext } from '../../../src/runtime/lower.ts';
import { aService } from '../../support/builders.ts';

/** A service with nothing set. */
export const plainService: Service = aService('api', { networks: [], command: ['/usr/bin/server', '--port', '80'] });

export function bundleInput(service: Partial<Service> = {}, extra: Partial<BundleInput> = {}): BundleInput {
  return {
    id: '0123456789abcdef'.repeat(4),
    name: 'shop-api-1',
    hostname: '0123456789ab',
    service: { ...plainService, ...service },
    image: { environment: ['PATH=/usr/bin:/bin', 'LANG=C.UTF-8'], entrypoint: [], command: [], user: '', workingDir: '/' },
    user: { uid: 0, gid: 0, groups: [0], home: '/root', name: 'root' },
    rootPath: '/run/tscompose/projects/shop/containers/0123456789ab/rootfs',
    hostBinds: [],
    mountSources: new Map(),
    etc: {},
    network: 'new',
    cgroupPath: '/tscompose/shop/0123456789ab',
    deviceNodes: [],
    throttlePaths: [],
    architecture: 'x64',
    kernelRelease: '6.1.0',
    ...extra,
  };
}

export const unifiedLayout: CgroupLayout = {
  version: 'v2',
  hierarchies: [],
  unified: {
    mountpoint: '/sys/fs/cgroup',
    base: '/',
    controllers: ['cpuset', 'cpu', 'io', 'memory', 'hugetlb', 'pids', 'rdma', 'misc'],
  },
};

export const hybridLayout: CgroupLayout = {
  version: 'hybrid',
  hierarchies: [
    { controllers: ['cpu', 'cpuacct'], mountpoint: '/sys/fs/cgroup/cpu,cpuacct' },
    ...['cpuset', 'memory', 'devices', 'freezer', 'pids', 'net_cls'].map((name) => ({
      controllers: [name],
      mountpoint: `/sys/fs/cgroup/${name}`,
    })),
    { controllers: ['name=systemd'], mountpoint: '/sys/fs/cgroup/systemd' },
  ],
  unified: { mountpoint: '/sys/fs/cgroup/unified', base: '/', controllers: [] },
};

export const splitLayout: CgroupLayout = { version: 'v1', hierarchies: hybridLayout.hierarchies };

export function lowerContext(extra: Partial<LowerContext> = {}): LowerContext {
  return {
    rootfs: { kind: 'overlay', lowerdirs: ['/images/top', '/images/base'], upper: '/data/upper', work: '/data/work' },
    cgroups: unifiedLayout,
    architecture: 'x64',
    files: [],
    fileSources: new Set(),
    init: false,
    keyring: '0123456789ab',
    launcherOwnsNetwork: true,
    availableCapabilities: boundingSetOf(''),
    ...extra,
  };
}
