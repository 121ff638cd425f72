/** Errors of the kernel that netlink brings: number → name and words (errno(3)). */
const known: Readonly<Record<number, readonly [string, string]>> = {
  1: ['EPERM', 'operation not permitted'],
  2: ['ENOENT', 'no such object'],
  3: ['ESRCH', 'no such route or process'],
  12: ['ENOMEM', 'out of memory'],
  16: ['EBUSY', 'object is busy'],
  17: ['EEXIST', 'object exists already'],
  19: ['ENODEV', 'no such link'],
  22: ['EINVAL', 'invalid argument'],
  23: ['ENFILE', 'too many objects'],
  34: ['ERANGE', 'value out of range'],
  90: ['EMSGSIZE', 'message too long'],
  93: ['EPROTONOSUPPORT', 'protocol not supported'],
  95: ['EOPNOTSUPP', 'operation not supported'],
  97: ['EAFNOSUPPORT', 'address family not supported'],
  99: ['EADDRNOTAVAIL', 'address not available'],
  100: ['ENETDOWN', 'network is down'],
  101: ['ENETUNREACH', 'network is unreachable'],
  105: ['ENOBUFS', 'no buffer space'],
};

export const Errno = {
  noEntry: 2,
  noProcess: 3,
  exists: 17,
  noDevice: 19,
  familyNotSupported: 97,
  notSupported: 95,
  addressNotAvailable: 99,
} as const;

/** "object exists already (EEXIST)". */
export function describeErrno(errno: number): string {
  const entry = known[errno];
  return entry ? `${entry[1]} (${entry[0]})` : `error ${errno}`;
}
