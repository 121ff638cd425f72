/**
 * A project as the loader hands it on: fully resolved, readonly, no short syntax left, JSON through and through.
 * Named things are arrays (sorted by name), so that no user's name ever becomes a key of an object we look up by.
 * Source: the compose specification; one field here is one attribute there unless its comment says otherwise.
 */

/** Text → text, with a null prototype where code makes one. */
export type StringMap = Readonly<Record<string, string>>;

export interface Project {
  readonly name: string;
  /** Absolute; relative paths of the file are relative to it. */
  readonly workingDir: string;
  readonly configFiles: readonly string[];
  /** Services selected by profiles and arguments, sorted by name. */
  readonly services: readonly Service[];
  /** Names of services left out because no active profile asks for them. */
  readonly inactiveServices: readonly string[];
  readonly networks: readonly NetworkSpec[];
  readonly volumes: readonly VolumeSpec[];
  readonly configs: readonly FileSource[];
  readonly secrets: readonly FileSource[];
}

export interface Service {
  readonly name: string;
  readonly image: string;
  readonly containerName?: string;
  /** How many containers; `scale`, `deploy.replicas` or 1. */
  readonly replicas: number;
  /** undefined: the image's; [] clears it. */
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  /** env_file and environment resolved; a null value (unset in the project's environment) is already dropped. */
  readonly environment: StringMap;
  readonly labels: StringMap;
  readonly annotations: StringMap;
  readonly workingDir?: string;
  readonly user?: string;
  readonly groupAdd: readonly string[];
  readonly hostname?: string;
  readonly domainname?: string;
  readonly attach: boolean;
  readonly tty: boolean;
  readonly stdinOpen: boolean;
  readonly init: boolean;
  readonly privileged: boolean;
  readonly readOnly: boolean;
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  /** As written: "no-new-privileges:true", "seccomp=unconfined" … */
  readonly securityOpt: readonly string[];
  readonly sysctls: StringMap;
  readonly ulimits: readonly Ulimit[];
  readonly resources: Resources;
  readonly oomScoreAdj?: number;
  /** Bytes of /dev/shm; default 64 MiB. */
  readonly shmSize?: number;
  readonly devices: readonly Device[];
  readonly cgroupParent?: string;
  readonly cgroup?: 'host' | 'private';
  readonly pid?: string;
  readonly ipc?: string;
  readonly uts?: string;
  readonly usernsMode?: string;
  readonly runtime?: string;
  readonly platform?: string;
  readonly pullPolicy?: string;

  readonly dependsOn: readonly Dependency[];
  readonly restart: RestartPolicy;
  readonly healthcheck?: HealthCheck;
  /** Signal name or number as written; default SIGTERM or the image's. */
  readonly stopSignal?: string;
  /** Milliseconds between the stop signal and SIGKILL; default 10 000. */
  readonly stopGraceMs: number;
  readonly preStop: readonly Hook[];
  readonly postStart: readonly Hook[];

  /** bridge: attached to `networks`; service: shares the namespace of another service of the project. */
  readonly networkMode: NetworkMode;
  readonly networks: readonly NetworkAttachment[];
  readonly ports: readonly PortMapping[];
  readonly expose: readonly string[];
  readonly extraHosts: readonly HostEntry[];
  readonly links: readonly ServiceLink[];
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOpt: readonly string[];
  readonly macAddress?: string;

  readonly mounts: readonly Mount[];
  readonly configs: readonly FileGrant[];
  readonly secrets: readonly FileGrant[];
  readonly logging?: { readonly driver?: string; readonly options: StringMap };
  readonly watch: readonly WatchRule[];
  readonly profiles: readonly string[];
}

export type NetworkMode =
  | { readonly kind: 'bridge' }
  | { readonly kind: 'none' }
  | { readonly kind: 'host' }
  | { readonly kind: 'service'; readonly service: string };

export interface Dependency {
  readonly service: string;
  readonly condition: 'service_started' | 'service_healthy' | 'service_completed_successfully';
  /** Restart the dependant after an explicit restart or recreation of the dependency. */
  readonly restart: boolean;
  readonly required: boolean;
}

/** `maxAttempts` 0 is without bound; docker's rules (moby restartmanager). */
export type RestartPolicy =
  | { readonly kind: 'no' | 'always' | 'unless-stopped' }
  | { readonly kind: 'on-failure'; readonly maxAttempts: number };

/** All times in milliseconds. Absent: the image's or none; `test: ["NONE"]` never reaches the model. */
export interface HealthCheck {
  /** ["CMD", …args] or ["CMD-SHELL", text]. */
  readonly test: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
}

export interface Hook {
  readonly command: readonly string[];
  readonly user?: string;
  readonly privileged: boolean;
  readonly workingDir?: string;
  readonly environment: StringMap;
}

export interface Ulimit {
  /** Without RLIMIT_: "nofile". */
  readonly name: string;
  /** -1 is unlimited. */
  readonly soft: number;
  readonly hard: number;
}

/** From the service's own attributes or deploy.resources; absent means without a limit. */
export interface Resources {
  /** Fractions of a processor: 0.5. */
  readonly cpus?: number;
  readonly cpuShares?: number;
  readonly cpuPeriodUs?: number;
  readonly cpuQuotaUs?: number;
  readonly cpuset?: string;
  readonly memoryBytes?: number;
  readonly memoryReservationBytes?: number;
  /** Memory plus swap; -1 is unlimited. */
  readonly memorySwapBytes?: number;
  readonly memorySwappiness?: number;
  readonly oomKillDisable?: boolean;
  /** -1 is unlimited. */
  readonly pids?: number;
}

export interface Device {
  readonly source: string;
  readonly target: string;
  /** Of "rwm". */
  readonly permissions: string;
}

export interface PortMapping {
  /** In the container, 1…65535. */
  readonly target: number;
  /** On the host; 0: any free one. Ranges are already expanded. */
  readonly published: number;
  /** With a range of host ports for one target: the last one that may be taken. */
  readonly publishedEnd?: number;
  /** "" is every address. */
  readonly hostIp: string;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly name?: string;
}

export interface HostEntry {
  readonly host: string;
  /** An address, or "host-gateway". */
  readonly ip: string;
}

export interface ServiceLink {
  readonly service: string;
  readonly alias: string;
}

export interface NetworkAttachment {
  /** Key of the network within the project. */
  readonly network: string;
  readonly aliases: readonly string[];
  readonly ipv4Address?: string;
  readonly ipv6Address?: string;
  readonly macAddress?: string;
  readonly interfaceName?: string;
  readonly priority: number;
  readonly gwPriority: number;
}

export type Mount = BindMount | VolumeMount | TmpfsMount;

export interface BindMount {
  readonly type: 'bind';
  /** Absolute, on the host. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly createHostPath: boolean;
  readonly propagation?: string;
  readonly recursive?: 'enabled' | 'disabled' | 'writable' | 'readonly';
}

export interface VolumeMount {
  readonly type: 'volume';
  /** Key of the volume within the project; absent for an anonymous one. */
  readonly source?: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly noCopy: boolean;
  readonly subpath?: string;
}

export interface TmpfsMount {
  readonly type: 'tmpfs';
  readonly target: string;
  readonly readOnly: boolean;
  readonly sizeBytes?: number;
  /** Permission bits. */
  readonly mode?: number;
  /** Further mount options of the short form: "uid=1000", "noexec". */
  readonly options: readonly string[];
}

/** A config or secret given to a service. */
export interface FileGrant {
  /** Key within the project. */
  readonly source: string;
  /** Absolute path in the container. */
  readonly target: string;
  readonly uid?: string;
  readonly gid?: string;
  readonly mode?: number;
}

/** A config or secret of the project; exactly one of file, content, environment or external. */
export interface FileSource {
  readonly key: string;
  readonly name: string;
  /** Absolute path. */
  readonly file?: string;
  readonly content?: string;
  /** Name of the variable of the project's environment. */
  readonly environment?: string;
  readonly external: boolean;
  readonly labels: StringMap;
}

export interface NetworkSpec {
  readonly key: string;
  /** "shop_default", or the external name. */
  readonly name: string;
  readonly external: boolean;
  readonly driver: string;
  readonly driverOpts: StringMap;
  readonly internal: boolean;
  readonly enableIpv6: boolean;
  readonly ipam: readonly IpamPool[];
  readonly labels: StringMap;
}

export interface IpamPool {
  readonly subnet?: string;
  readonly gateway?: string;
  readonly ipRange?: string;
  readonly auxAddresses: StringMap;
}

export interface VolumeSpec {
  readonly key: string;
  readonly name: string;
  readonly external: boolean;
  readonly driver: string;
  readonly driverOpts: StringMap;
  readonly labels: StringMap;
}

export interface WatchRule {
  /** Absolute. */
  readonly path: string;
  readonly action: 'sync' | 'rebuild' | 'restart' | 'sync+restart' | 'sync+exec';
  readonly target?: string;
  readonly ignore: readonly string[];
  readonly include: readonly string[];
  readonly initialSync: boolean;
  readonly exec?: Hook;
}
