/**
 * config.json of an OCI bundle: the parts of runtime-spec 1.3 (config.md, config-linux.md) that tscompose writes or lowers.
 * Names are the specification's own, so that the object is the file.
 */

export interface OciSpec {
  readonly ociVersion: string;
  readonly process: OciProcess;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname?: string;
  readonly domainname?: string;
  readonly mounts: readonly OciMount[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly linux: OciLinux;
}

export interface OciProcess {
  readonly terminal: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user: OciUser;
  readonly args: readonly string[];
  /** "NAME=value" */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: OciCapabilities;
  readonly rlimits: readonly OciRlimit[];
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj?: number;
}

export interface OciUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  /** Default 0o022, as runc and crun do. */
  readonly umask?: number;
}

/** "CAP_CHOWN" … in each set. */
export interface OciCapabilities {
  readonly bounding: readonly string[];
  readonly effective: readonly string[];
  readonly permitted: readonly string[];
  readonly inheritable: readonly string[];
  readonly ambient: readonly string[];
}

export interface OciRlimit {
  /** "RLIMIT_NOFILE" */
  readonly type: string;
  /** 2^64 - 1, which a JavaScript number rounds to 2^64, is without limit. */
  readonly soft: number;
  readonly hard: number;
}

export interface OciMount {
  readonly destination: string;
  readonly type?: string;
  readonly source?: string;
  readonly options: readonly string[];
}

export interface OciLinux {
  readonly namespaces: readonly OciNamespace[];
  readonly devices: readonly OciDevice[];
  /** Absolute: the same path in every hierarchy. */
  readonly cgroupsPath: string;
  readonly resources: OciResources;
  readonly rootfsPropagation?: 'shared' | 'slave' | 'private' | 'unbindable' | 'rshared' | 'rslave' | 'rprivate';
  readonly seccomp?: OciSeccomp;
  readonly sysctl: Readonly<Record<string, string>>;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
}

export type OciNamespaceType = 'pid' | 'mount' | 'uts' | 'ipc' | 'network' | 'cgroup' | 'user' | 'time';

export interface OciNamespace {
  readonly type: OciNamespaceType;
  /** Absent: a new one. */
  readonly path?: string;
}

export interface OciDevice {
  readonly type: 'c' | 'b' | 'u' | 'p';
  readonly path: string;
  readonly major?: number;
  readonly minor?: number;
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface OciDeviceRule {
  readonly allow: boolean;
  /** a: character and block devices; default a. */
  readonly type?: 'a' | 'b' | 'c';
  /** Absent or -1: every number. */
  readonly major?: number;
  readonly minor?: number;
  /** Of "rwm"; absent: all of it. */
  readonly access?: string;
}

export interface OciResources {
  readonly devices?: readonly OciDeviceRule[];
  readonly memory?: OciMemory;
  readonly cpu?: OciCpu;
  /** -1 is unlimited. */
  readonly pids?: { readonly limit: number };
}

/** Bytes; -1 is unlimited. */
export interface OciMemory {
  readonly limit?: number;
  readonly reservation?: number;
  /** Memory plus swap. */
  readonly swap?: number;
  readonly swappiness?: number;
  readonly disableOOMKiller?: boolean;
}

export interface OciCpu {
  readonly shares?: number;
  /** Microseconds in a period; -1 is unlimited. */
  readonly quota?: number;
  readonly period?: number;
  readonly cpus?: string;
  readonly mems?: string;
}

export type OciSeccompAction =
  | 'SCMP_ACT_KILL'
  | 'SCMP_ACT_KILL_PROCESS'
  | 'SCMP_ACT_KILL_THREAD'
  | 'SCMP_ACT_TRAP'
  | 'SCMP_ACT_ERRNO'
  | 'SCMP_ACT_TRACE'
  | 'SCMP_ACT_LOG'
  | 'SCMP_ACT_ALLOW';

export type OciSeccompOperator =
  | 'SCMP_CMP_NE'
  | 'SCMP_CMP_LT'
  | 'SCMP_CMP_LE'
  | 'SCMP_CMP_EQ'
  | 'SCMP_CMP_GE'
  | 'SCMP_CMP_GT'
  | 'SCMP_CMP_MASKED_EQ';

export interface OciSeccomp {
  readonly defaultAction: OciSeccompAction;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly syscalls: readonly OciSeccompRule[];
}

export interface OciSeccompRule {
  readonly names: readonly string[];
  readonly action: OciSeccompAction;
  readonly errnoRet?: number;
  /** All must hold, but several conditions on one argument hold when one of them does (libseccomp, as runc uses it). */
  readonly args?: readonly OciSeccompArgument[];
}

export interface OciSeccompArgument {
  readonly index: number;
  /** With SCMP_CMP_MASKED_EQ the mask. */
  readonly value: number | bigint;
  /** With SCMP_CMP_MASKED_EQ the value that must be left. */
  readonly valueTwo?: number | bigint;
  readonly op: OciSeccompOperator;
}

/** config.json's text. 2^64 - 1 is written exactly, where JSON.stringify would round it up and out of uint64. */
export function formatSpec(spec: OciSpec): string {
  const text = JSON.stringify(spec, (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value), 2);
  return `${text.replaceAll(/(?<!\\)": 18446744073709552000\b/g, '": 18446744073709551615')}\n`;
}
