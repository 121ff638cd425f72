import { TscomposeError } from '../errors.ts';
import type { Service } from '../model/project.ts';

/** What `security_opt` comes down to. */
export interface SecurityOptions {
  readonly noNewPrivileges: boolean;
  readonly seccomp:
    | { readonly kind: 'default' }
    | { readonly kind: 'unconfined' }
    | { readonly kind: 'file'; readonly path: string };
  /** `systempaths=unconfined`: nothing masked or read-only below /proc and /sys. */
  readonly openSystemPaths: boolean;
  /** `writable-cgroups=true` */
  readonly writableCgroups: boolean;
  /** Options that are understood and have no effect here, in words. */
  readonly warnings: readonly string[];
}

/**
 * Reads a service's `security_opt` ("NAME", "NAME=VALUE", "NAME:VALUE"), with docker's names and defaults; `privileged`
 * switches the
 * system call filter and the masks off. @throws VALUE_INVALID for an option or value that does not exist
 */
export function securityOptions(service: Service): SecurityOptions {
  const start: SecurityOptions = {
    noNewPrivileges: false,
    seccomp: service.privileged ? { kind: 'unconfined' } : { kind: 'default' },
    openSystemPaths: service.privileged,
    writableCgroups: service.privileged,
    warnings: [],
  };
  return service.securityOpt.reduce((options, text) => withOption(options, text, service.name), start);
}

function withOption(options: SecurityOptions, text: string, service: string): SecurityOptions {
  const [name, value] = split(text);
  switch (name) {
    case 'no-new-privileges':
      return { ...options, noNewPrivileges: switchValue(text, value, service) };
    case 'writable-cgroups':
      return { ...options, writableCgroups: switchValue(text, value, service) };
    case 'seccomp':
      return { ...options, seccomp: seccompOption(text, value, service) };
    case 'systempaths':
      if (value !== 'unconfined') throw invalid(text, service);
      return { ...options, openSystemPaths: true };
    case 'apparmor':
    case 'label':
      return {
        ...options,
        warnings: [...options.warnings, `security_opt "${text}" has no effect: tscompose sets no ${moduleNames[name]} labels`],
      };
    default:
      throw invalid(text, service);
  }
}

const moduleNames = { apparmor: 'AppArmor', label: 'SELinux' } as const;

function split(text: string): readonly [name: string, value: string | undefined] {
  const match = /^([^=:]*)[=:](.*)$/.exec(text);
  return match ? [match[1] as string, match[2] as string] : [text, undefined];
}

function switchValue(text: string, value: string | undefined, service: string): boolean {
  if (value === undefined || value === 'true') return true;
  if (value === 'false') return false;
  throw invalid(text, service);
}

function seccompOption(text: string, value: string | undefined, service: string): SecurityOptions['seccomp'] {
  if (!value) throw invalid(text, service);
  if (value === 'unconfined') return { kind: 'unconfined' };
  if (value === 'builtin') return { kind: 'default' };
  return { kind: 'file', path: value };
}

function invalid(text: string, service: string): TscomposeError {
  return new TscomposeError('VALUE_INVALID', `security_opt "${text}" does not exist`, {
    service,
    hint: 'known are no-new-privileges, seccomp=unconfined|FILE, systempaths=unconfined, writable-cgroups, apparmor, label',
  });
}
