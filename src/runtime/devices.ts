import type { Device, Service } from '../model/project.ts';
import type { OciDevice, OciDeviceRule } from './spec.ts';

/** A device node of the host, as stat(2) shows it. */
export interface DeviceNode {
  /** Path on the host. */
  readonly path: string;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** The nodes every container has: runtime-spec config-linux.md, "Default Devices" (console and ptmx are made otherwise). */
export const defaultDevices: readonly OciDevice[] = (
  [
    ['null', 3],
    ['zero', 5],
    ['full', 7],
    ['random', 8],
    ['urandom', 9],
  ] as const
)
  .map(([name, minor]) => characterDevice(`/dev/${name}`, 1, minor))
  .concat(characterDevice('/dev/tty', 5, 0));

function characterDevice(path: string, major: number, minor: number): OciDevice {
  return { type: 'c', path, major, minor, fileMode: 0o666, uid: 0, gid: 0 };
}

/** Links into /proc/self and devpts: runtime-spec runtime-linux.md, "Dev symbolic links". */
export const deviceLinks: ReadonlyArray<readonly [path: string, target: string]> = [
  ['/dev/fd', '/proc/self/fd'],
  ['/dev/stdin', '/proc/self/fd/0'],
  ['/dev/stdout', '/proc/self/fd/1'],
  ['/dev/stderr', '/proc/self/fd/2'],
  ['/dev/ptmx', 'pts/ptmx'],
];

/** Docker's rules (moby oci/devices): any node may be made, only these may be opened: memory devices, terminals. */
const defaultRules: readonly OciDeviceRule[] = [
  { allow: false, access: 'rwm' },
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
  ...[3, 5, 7, 8, 9].map((minor): OciDeviceRule => ({ allow: true, type: 'c', major: 1, minor, access: 'rwm' })),
  ...[0, 1, 2].map((minor): OciDeviceRule => ({ allow: true, type: 'c', major: 5, minor, access: 'rwm' })),
  { allow: true, type: 'c', major: 136, access: 'rwm' },
];

/**
 * Nodes and rules of a service. `nodes` are the host's: behind each of `devices` (a folder stands for the nodes in it), or all
 * of
 * /dev's for a privileged one.
 */
export function serviceDevices(
  service: Service,
  nodes: readonly DeviceNode[],
): { devices: readonly OciDevice[]; rules: readonly OciDeviceRule[] } {
  if (service.privileged)
    return { devices: nodes.map((node) => ociDevice(node, node.path)), rules: [{ allow: true, access: 'rwm' }] };
  const granted = service.devices.flatMap((device) => nodes.flatMap((node) => grantedDevice(device, node)));
  return {
    devices: [...defaultDevices, ...granted.map(({ device }) => device)],
    rules: [...defaultRules, ...granted.map(({ rule }) => rule)],
  };
}

function grantedDevice(device: Device, node: DeviceNode): ReadonlyArray<{ device: OciDevice; rule: OciDeviceRule }> {
  const isInside = node.path.startsWith(`${device.source}/`);
  if (node.path !== device.source && !isInside) return [];
  const path = `${device.target}${node.path.slice(device.source.length)}`;
  const rule: OciDeviceRule = { allow: true, type: node.type, major: node.major, minor: node.minor, access: device.permissions };
  return [{ device: ociDevice(node, path), rule }];
}

function ociDevice(node: DeviceNode, path: string): OciDevice {
  return { type: node.type, path, major: node.major, minor: node.minor, fileMode: node.mode, uid: node.uid, gid: node.gid };
}
