import { execFileSync, spawn } from 'node:child_process';
import { eventually } from './eventually.ts';
import { patience } from './patience.ts';

/** Another host on a link of its own: a network namespace joined to this one by a veth pair. */
export interface Neighbour {
  /** This machine's address as the neighbour sees it. */
  readonly hostAddress: string;
  /** Runs a program over there; its standard output. @throws when it fails. */
  run(program: string, ...words: string[]): string;
  remove(): void;
}

/**
 * 198.18.0.0/15 is for tests of networks (RFC 2544). Needs root, python3, unshare and nsenter (util-linux).
 * `routesBack` (default true): it sends to other networks through this machine, as to a gateway.
 */
export async function makeNeighbour(options: { readonly routesBack?: boolean } = {}): Promise<Neighbour> {
  const holder = spawn('unshare', ['--net', 'sleep', '3600'], { stdio: 'ignore' });
  const pid = holder.pid as number;
  const enter = (program: string, ...words: string[]) =>
    execFileSync('nsenter', [`--net=/proc/${pid}/ns/net`, program, ...words], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 10_000 * patience,
    });
  const link = `tsn${pid}`;
  const remove = () => {
    holder.kill('SIGKILL');
  };
  try {
    await eventually(
      'the namespace',
      () => enter('cat', '/proc/net/dev') !== execFileSync('cat', ['/proc/net/dev'], { encoding: 'utf8' }),
    );
    netlink('add-veth', link, String(pid));
    netlink('address', link, '198.18.77.1');
    enter('python3', '-c', netlinkProgram, 'address', 'eth0', '198.18.77.2');
    if (options.routesBack ?? true) enter('python3', '-c', netlinkProgram, 'default-route', '198.18.77.1');
  } catch (error) {
    remove();
    throw error;
  }
  return { hostAddress: '198.18.77.1', run: enter, remove };
}

function netlink(...words: string[]): void {
  execFileSync('python3', ['-c', netlinkProgram, ...words]);
}

/** rtnetlink(7), as little of it as is needed: many machines have no ip. */
const netlinkProgram = `
import socket, struct, sys
def attribute(kind, data):
    return struct.pack('=HH', 4 + len(data), kind) + data + b'\\0' * (-len(data) % 4)
def ask(kind, flags, body):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    s.send(struct.pack('=IHHII', 16 + len(body), kind, 5 | flags, 1, 0) + body)
    error = struct.unpack_from('=i', s.recv(65536), 16)[0]
    if error:
        sys.exit('netlink: error %d' % -error)
def up(name):
    ask(16, 0, struct.pack('=BxHiII', 0, 0, socket.if_nametoindex(name), 1, 1))
create = 0x600
action, *words = sys.argv[1:]
if action == 'add-veth':
    name, pid = words
    peer = struct.pack('=BxHiII', 0, 0, 0, 0, 0) + attribute(3, b'eth0\\0') + attribute(19, struct.pack('=I', int(pid)))
    info = attribute(1, b'veth') + attribute(2, attribute(1, peer))
    ask(16, create, struct.pack('=BxHiII', 0, 0, 0, 0, 0) + attribute(3, name.encode() + b'\\0') + attribute(18, info))
elif action == 'address':
    name, address = words
    raw = socket.inet_aton(address)
    ask(20, create, struct.pack('=BBBBi', 2, 24, 0, 0, socket.if_nametoindex(name)) + attribute(1, raw) + attribute(2, raw))
    up(name)
elif action == 'default-route':
    ask(24, create, struct.pack('=BBBBBBBBI', 2, 0, 0, 0, 254, 3, 0, 1, 0) + attribute(5, socket.inet_aton(words[0])))
`;
