import { TscomposeError } from '../errors.ts';
import type { StringMap } from '../model/project.ts';

/** Which namespaces of its own a container has; only their settings may be written. */
export interface OwnNamespaces {
  readonly network: boolean;
  readonly ipc: boolean;
}

/** Settings that belong to the ipc namespace: ipc_namespaces(7). */
const ipcKeys = [
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
];

/**
 * Checks `sysctls`: only settings of namespaces the container has for itself, because any other would change the host
 * (CVE-2022-0811 was a way around such a check). @throws VALUE_INVALID
 */
export function checkSysctls(sysctls: StringMap, own: OwnNamespaces, service: string): StringMap {
  for (const [key, value] of Object.entries(sysctls)) {
    checkForm(key, value, service);
    checkNamespace(key, own, service);
  }
  return sysctls;
}

/** "net.ipv4.ip_forward" → "net/ipv4/ip_forward". A slash in a key stands for a dot in an interface's name: sysctl(8). */
export function sysctlPath(key: string): string {
  return key.replaceAll(/[./]/g, (separator) => (separator === '.' ? '/' : '.'));
}

function checkForm(key: string, value: string, service: string): void {
  const parts = sysctlPath(key).split('/');
  const clean = /^[a-zA-Z0-9_./-]+$/.test(key) && parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (!clean) throw refused(service, `sysctl "${key}" is no name of a setting`, 'write it like net.core.somaxconn');
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value))
    throw refused(service, `sysctl ${key} has a control character in its value`, 'write one line of text');
}

function checkNamespace(key: string, own: OwnNamespaces, service: string): void {
  const isNetworks = key.startsWith('net.');
  if (!isNetworks && !ipcKeys.includes(key) && !key.startsWith('fs.mqueue.')) {
    throw refused(
      service,
      `sysctl ${key} belongs to the whole machine, not to a container`,
      'set it on the host, or leave it out',
    );
  }
  if (isNetworks ? own.network : own.ipc) return;
  const whose = isNetworks ? "the host's network" : "the host's ipc";
  throw refused(
    service,
    `sysctl ${key} would change ${whose} namespace`,
    'give the service a namespace of its own, or set it on the host',
  );
}

function refused(service: string, message: string, hint: string): TscomposeError {
  return new TscomposeError('VALUE_INVALID', message, { service, hint });
}
