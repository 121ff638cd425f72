import { TscomposeError } from '../errors.ts';
import type { OciSeccomp, OciSeccompRule } from './spec.ts';
import type { Architecture } from './syscalls.ts';

/** What decides which rules of a profile in docker's form hold. */
export interface SeccompHost {
  /** "CAP_SYS_ADMIN" … that the container has. */
  readonly capabilities: readonly string[];
  readonly architecture: Architecture;
  /** As uname -r says: "6.1.0-18-amd64". */
  readonly kernelRelease: string;
}

/**
 * Reads the file of `security_opt: seccomp=FILE`: OCI's form, or docker's with `archMap`, `includes` and `excludes`.
 * @throws VALUE_INVALID when it is no JSON or no profile
 */
export function parseSeccompFile(text: string, path: string, host: SeccompHost): OciSeccomp {
  const profile = parseJson(text, path);
  if (!isProfile(profile)) throw unreadable(path, 'it has no "defaultAction"');
  const rules = (profile.syscalls ?? []).filter((rule) => holds(rule, host)).map((rule) => plainRule(rule, path));
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures: [host.architecture === 'x64' ? 'SCMP_ARCH_X86_64' : 'SCMP_ARCH_AARCH64'],
    ...(profile.flags === undefined ? {} : { flags: profile.flags }),
    syscalls: rules,
  };
}

interface DockerProfile extends Omit<OciSeccomp, 'syscalls'> {
  readonly syscalls?: readonly DockerRule[];
}

interface DockerRule extends Omit<OciSeccompRule, 'names'> {
  readonly name?: string;
  readonly names?: readonly string[];
  readonly includes?: RuleFilter;
  readonly excludes?: RuleFilter;
}

interface RuleFilter {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
  readonly minKernel?: string;
}

const goArchitecture: Readonly<Record<Architecture, string>> = { x64: 'amd64', arm64: 'arm64' };

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw unreadable(path, 'it is no JSON', cause);
  }
}

function isProfile(value: unknown): value is DockerProfile {
  return typeof value === 'object' && value !== null && 'defaultAction' in value && typeof value.defaultAction === 'string';
}

/** Of `includes` all must be given, of `excludes` none may be. */
function holds(rule: DockerRule, host: SeccompHost): boolean {
  return included(rule.includes ?? {}, host) && !excluded(rule.excludes ?? {}, host);
}

function included(filter: RuleFilter, host: SeccompHost): boolean {
  const arches = filter.arches ?? [];
  return (
    (filter.caps ?? []).every((name) => host.capabilities.includes(name)) &&
    (arches.length === 0 || arches.includes(goArchitecture[host.architecture])) &&
    (filter.minKernel === undefined || kernelAtLeast(host.kernelRelease, filter.minKernel))
  );
}

function excluded(filter: RuleFilter, host: SeccompHost): boolean {
  return (
    (filter.caps ?? []).some((name) => host.capabilities.includes(name)) ||
    (filter.arches ?? []).includes(goArchitecture[host.architecture]) ||
    (filter.minKernel !== undefined && kernelAtLeast(host.kernelRelease, filter.minKernel))
  );
}

/** Whether a release such as "6.1.0-18-amd64" is "4.8" or newer. */
export function kernelAtLeast(release: string, wanted: string): boolean {
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map((part) => Number.parseInt(part, 10));
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function plainRule(rule: DockerRule, path: string): OciSeccompRule {
  const names = rule.names ?? (rule.name === undefined ? [] : [rule.name]);
  if (names.length === 0 || typeof rule.action !== 'string') throw unreadable(path, 'a rule lacks its names or its action');
  return {
    names,
    action: rule.action,
    ...(rule.errnoRet === undefined ? {} : { errnoRet: rule.errnoRet }),
    ...(rule.args && rule.args.length > 0 ? { args: rule.args } : {}),
  };
}

function unreadable(path: string, why: string, cause?: unknown): TscomposeError {
  return new TscomposeError('VALUE_INVALID', `${path} is no seccomp profile: ${why}`, { path, cause });
}
