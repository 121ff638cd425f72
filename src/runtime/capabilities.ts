import { TscomposeError } from '../errors.ts';

/** Bit number → name without CAP_; linux/capability.h, 41 of them since Linux 5.9. */
const names = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST ' +
  'NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE ' +
  'SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM ' +
  'BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
).split(' ');

/** Every capability, by bit number: "CAP_CHOWN" … */
export const allCapabilities: readonly string[] = names.map((name) => `CAP_${name}`);

/** The fourteen that docker gives a container (moby daemon/pkg/oci/caps), 0xa80425fb. */
export const defaultCapabilities: readonly string[] =
  'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE'
    .split(' ')
    .map((name) => `CAP_${name}`);

/**
 * What a service may do: docker's semantics of `cap_add` and `cap_drop` (moby oci/caps TweakCapabilities). What is added by
 * name
 * stays even when the same name is dropped; ALL added is everything but what is dropped; ALL dropped leaves what is added.
 * Sorted by bit number. @throws VALUE_INVALID for an unknown name
 */
export function grantedCapabilities(add: readonly string[], drop: readonly string[], privileged: boolean): readonly string[] {
  const added = add.map(normalize);
  const dropped = drop.map(normalize);
  if (privileged) return allCapabilities;
  if (added.includes('ALL')) return allCapabilities.filter((name) => !dropped.includes(name));
  const kept = dropped.includes('ALL') ? [] : defaultCapabilities.filter((name) => !dropped.includes(name));
  return allCapabilities.filter((name) => kept.includes(name) || added.includes(name));
}

/**
 * Capabilities that a service asks for by name and that this machine cannot give, because tscompose's own bounding set lacks
 * them:
 * a reason to refuse. What only comes with ALL or `privileged` is left out silently by the lowering instead.
 */
export function ungrantableCapabilities(add: readonly string[], available: bigint): readonly string[] {
  const named = add.map(normalize).filter((name) => name !== 'ALL');
  return allCapabilities.filter((name, bit) => named.includes(name) && ((available >> BigInt(bit)) & 1n) === 0n);
}

/** The bounding set in the text of /proc/PID/status; everything when the line is missing. */
export function boundingSetOf(status: string): bigint {
  const match = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status);
  return match ? BigInt(`0x${match[1]}`) : (1n << BigInt(allCapabilities.length)) - 1n;
}

/** Names → bits. @throws VALUE_INVALID for an unknown name */
export function capabilityMask(capabilities: readonly string[]): bigint {
  const bits = capabilities
    .map(normalize)
    .map((name) => (name === 'ALL' ? (1n << 41n) - 1n : 1n << BigInt(allCapabilities.indexOf(name))));
  return bits.reduce((mask, bit) => mask | bit, 0n);
}

/** Bits → names; bits that have no name are left out. */
export function capabilityNames(mask: bigint): readonly string[] {
  return allCapabilities.filter((_name, bit) => (mask >> BigInt(bit)) & 1n);
}

function normalize(text: string): string {
  const upper = text.trim().toUpperCase();
  if (upper === 'ALL' || upper === 'CAP_ALL') return 'ALL';
  const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  if (allCapabilities.includes(name)) return name;
  throw new TscomposeError('VALUE_INVALID', `"${text}" is no capability`, {
    hint: 'capabilities(7) lists them, for example NET_ADMIN',
  });
}
