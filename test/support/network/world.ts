/**
 * A small world for network tests: a host, containers and a neighbour, each a process in a network namespace of its own. All of
 * it goes with the processes, even when the test is killed: their standard input ends then.
 */

import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { NetworkCore, SysctlPort } from '../../../src/network/ports.ts';

const agentFile = fileURLToPath(new URL('agent.py', import.meta.url));
const run = promisify(execFile);

type Child = ChildProcessByStdio<Writable, Readable, null>;
type Fields = Readonly<Record<string, unknown>>;
export type Transport = 'tcp' | 'udp';

/** A process in a new network namespace. */
export class Machine {
  private readonly child: Child;
  private readonly waiting = new Map<number, { resolve: (answer: Fields) => void; reject: (error: Error) => void }>();
  private readonly listeners: ((event: Fields) => void)[] = [];
  private nextId = 1;

  private constructor(child: Child) {
    this.child = child;
    createInterface({ input: child.stdout }).on('line', (line) => this.receive(JSON.parse(line)));
    child.on('exit', () => {
      for (const { reject } of this.waiting.values()) reject(new Error('the machine is gone'));
    });
  }

  static async start(): Promise<Machine> {
    const child = spawn('unshare', ['--net', '/usr/bin/python3', '-S', '-E', agentFile], { stdio: ['pipe', 'pipe', 'inherit'] });
    const machine = new Machine(child);
    await machine.ask('ready');
    await machine.exec('ip', 'link', 'set', 'lo', 'up');
    return machine;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get netnsPath(): string {
    return `/proc/${this.pid}/ns/net`;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.stdin.end();
    await gone;
  }

  /** Runs a program of the real machine in this one's network. */
  async exec(...argv: string[]): Promise<string> {
    return (await run('nsenter', [`--net=${this.netnsPath}`, ...argv])).stdout;
  }

  /** Objects as `ip -json` prints them. */
  async ip(...args: string[]): Promise<Record<string, unknown>[]> {
    const text = await this.exec('ip', '-json', '-details', ...args);
    return text.trim() === '' ? [] : JSON.parse(text);
  }

  async listen(protocol: Transport, port: number, label: string, address = '0.0.0.0'): Promise<void> {
    await this.ask('listen', { protocol, address, port, label });
  }

  /** What a server answered ("LABEL PEER"), or how it failed: "timeout", "Connection refused" … */
  async reach(
    protocol: Transport,
    address: string,
    port: number,
    options: { timeout?: number; source?: string } = {},
  ): Promise<string> {
    return String(
      (await this.ask('reach', { protocol, address, port, timeout: options.timeout ?? 5, source: options.source ?? '' }))[
        'reply'
      ],
    );
  }

  async lookUp(protocol: Transport, address: string, port: number, message: Uint8Array): Promise<Buffer> {
    const answer = await this.ask('look_up', { protocol, address, port, message: Buffer.from(message).toString('base64') });
    return Buffer.from(String(answer['message']), 'base64');
  }

  async ask(op: string, fields: Fields = {}): Promise<Fields> {
    const id = this.nextId++;
    const answer = new Promise<Fields>((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    this.child.stdin.write(`${JSON.stringify({ id, op, ...fields })}\n`);
    return answer;
  }

  onEvent(listener: (event: Fields) => void): void {
    this.listeners.push(listener);
  }

  private receive(line: Fields): void {
    if ('event' in line) {
      for (const listener of this.listeners) listener(line);
      return;
    }
    const waiter = this.waiting.get(Number(line['id']));
    this.waiting.delete(Number(line['id']));
    if (typeof line['error'] === 'string') waiter?.reject(new Error(line['error']));
    else waiter?.resolve(line);
  }
}

/** The ports of the network room, played by the machine that is the host. Counts the batches it carries. */
export function coreOn(host: Machine): NetworkCore & SysctlPort & { batches: number } {
  const encode = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  const decode = (text: unknown) => new Uint8Array(Buffer.from(String(text), 'base64'));
  return {
    batches: 0,
    async netlink(path, protocol, batch) {
      this.batches++;
      return decode((await host.ask('netlink', { path, protocol, batch: encode(batch) }))['batch']);
    },
    async openDns(path, token, address, port) {
      await host.ask('dns_open', { path, token, address, port });
    },
    async closeDns(token) {
      await host.ask('dns_close', { token });
    },
    answerDns(peer, message) {
      void host.ask('dns_answer', { peer: encode(peer), message: encode(message) });
    },
    onDnsQuery(listener) {
      host.onEvent((event) => listener(String(event['token']), decode(event['peer']), decode(event['message'])));
    },
    async readSysctl(path) {
      return String((await host.ask('read', { path: `/proc/sys/${path}` }))['text']);
    },
    async writeSysctl(path, value) {
      await host.ask('write', { path: `/proc/sys/${path}`, text: value });
    },
  };
}

/** A cable between two machines: a veth pair with an address at each end. */
export async function connectMachines(
  one: Machine,
  other: Machine,
  cable: { readonly name: string; readonly addresses: readonly [string, string] },
): Promise<void> {
  await one.exec('ip', 'link', 'add', cable.name, 'type', 'veth', 'peer', 'name', cable.name, 'netns', String(other.pid));
  for (const [machine, address] of [
    [one, cable.addresses[0]],
    [other, cable.addresses[1]],
  ] as const) {
    await machine.exec('ip', 'address', 'add', address, 'dev', cable.name, ...(address.includes(':') ? ['nodad'] : []));
    await machine.exec('ip', 'link', 'set', cable.name, 'up');
  }
}
