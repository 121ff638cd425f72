import fs from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cgroupFolder } from '../support/cgroups.ts';
import { openProject, type Project } from '../support/cli.ts';
import { busybox } from './busybox.ts';

const compose = `
x-idle: &idle
  image: ${busybox}
  command: [sleep, infinity]
  init: true
services:
  plain:
    <<: *idle
    hostname: plain-host
    environment: {COLOUR: green}
    extra_hosts: ["gate:192.0.2.7"]
    configs: [{source: motd, target: /etc/motd}]
    secrets: [{source: key, uid: "33", gid: "34", mode: 0440}]
  locked:
    <<: *idle
    user: "1000:1001"
    group_add: ["1002"]
    read_only: true
    cap_drop: [ALL]
    cap_add: [NET_BIND_SERVICE]
    security_opt: ["no-new-privileges:true"]
    tmpfs: ["/scratch:size=1m,mode=1777"]
    working_dir: /tmp
    ulimits: {nofile: {soft: 512, hard: 1024}, core: 0}
  limited:
    <<: *idle
    mem_limit: 64m
    cpus: 0.5
    pids_limit: 40
    shm_size: 8m
  free:
    <<: *idle
    privileged: true
configs:
  motd: {content: "welcome, \${GUEST:-stranger}\\n"}
secrets:
  key: {file: ./key.txt}
`;

describe('inside a container', () => {
  let project: Project;
  beforeAll(async () => {
    project = openProject({ files: { 'compose.yaml': compose, 'key.txt': 'very secret' } });
    await project.ok('up', '-d');
  });
  afterAll(() => project.remove());

  /** What a shell command in the service's container prints, without the last line end. */
  const inside = async (service: string, command: string) =>
    (await project.ok('exec', '-T', service, 'sh', '-c', command)).stdout.trimEnd();

  test.each([
    { what: 'the host name', service: 'plain', command: 'hostname', is: 'plain-host' },
    { what: 'its environment', service: 'plain', command: 'echo $COLOUR', is: 'green' },
    { what: 'extra hosts', service: 'plain', command: "grep gate /etc/hosts | tr -s '\\t ' ' '", is: '192.0.2.7 gate' },
    { what: 'a config with its content interpolated', service: 'plain', command: 'cat /etc/motd', is: 'welcome, stranger' },
    {
      what: 'its own process numbers: the first is the init',
      service: 'plain',
      command: 'echo /proc/[0-9]* | tr " " "\\n" | grep -c .',
      is: /^[2-6]$/,
    },
    { what: 'the user and the groups', service: 'locked', command: 'id -u; id -g; id -G', is: '1000\n1001\n1001 1002' },
    { what: 'the working directory', service: 'locked', command: 'pwd', is: '/tmp' },
    { what: 'no way to write to the root', service: 'locked', command: 'touch /x 2>&1 || true', is: /Read-only file system/ },
    {
      what: 'a tmpfs of the given size',
      service: 'locked',
      command: "df -k /scratch | awk 'END {print $2}'; stat -c %a /scratch",
      is: '1024\n1777',
    },
    {
      what: 'no capability beyond what is allowed',
      service: 'locked',
      command: 'grep CapBnd /proc/1/status',
      is: 'CapBnd:\t0000000000000400',
    },
    { what: 'no new privileges', service: 'locked', command: 'grep NoNewPrivs /proc/1/status', is: 'NoNewPrivs:\t1' },
    { what: 'limits of open files', service: 'locked', command: 'ulimit -Sn; ulimit -Hn; ulimit -c', is: '512\n1024\n0' },
    { what: "docker's capabilities", service: 'plain', command: 'grep CapBnd /proc/1/status', is: 'CapBnd:\t00000000a80425fb' },
    { what: 'a system call filter', service: 'plain', command: 'grep Seccomp: /proc/1/status', is: 'Seccomp:\t2' },
    {
      what: 'no system call filter when privileged',
      service: 'free',
      command: 'grep Seccomp: /proc/1/status',
      is: 'Seccomp:\t0',
    },
    { what: 'a small /dev/shm', service: 'limited', command: "df -k /dev/shm | awk 'END {print $2}'", is: '8192' },
    { what: 'a masked /proc/kcore', service: 'plain', command: 'head -c1 /proc/kcore | wc -c', is: '0' },
    {
      what: 'no way to write to /proc/sys',
      service: 'plain',
      command: 'echo 1 2>&1 > /proc/sys/kernel/panic || echo refused',
      is: /refused/,
    },
  ])('$what', async ({ service, command, is }) => {
    const found = await inside(service, command);
    if (typeof is === 'string') expect(found).toBe(is);
    else expect(found).toMatch(is);
  });

  test('the first process has the limits of open files as well', async () => {
    const limits = fs.readFileSync(`/proc/${await project.pidOf('locked')}/limits`, 'utf8');
    expect(limits).toMatch(/^Max open files\s+512\s+1024\s/m);
  });

  test('a secret has its content, owner and mode', async () => {
    expect(await inside('plain', 'cat /run/secrets/key')).toBe('very secret');
    expect(await inside('plain', 'stat -c "%u %g %a" /run/secrets/key')).toBe('33 34 440');
  });

  test('limits are in the cgroup of the container', async () => {
    const pid = await project.pidOf('limited');
    expect(limitsOf(pid)).toEqual({ memory: '67108864', pids: '40', cpu: 0.5 });
  });
});

interface Limits {
  readonly memory: string;
  readonly pids: string;
  readonly cpu: number;
}

/** As the files of either version of cgroups have them. */
function limitsOf(pid: number): Limits {
  const read = (controller: string, file: string): string =>
    fs.readFileSync(`${cgroupFolder(pid, controller)}/${file}`, 'utf8').trim();
  const isUnified = fs.existsSync(`${cgroupFolder(pid, 'memory')}/memory.max`);
  const [quota, period] = isUnified
    ? read('cpu', 'cpu.max').split(' ')
    : [read('cpu', 'cpu.cfs_quota_us'), read('cpu', 'cpu.cfs_period_us')];
  return {
    memory: read('memory', isUnified ? 'memory.max' : 'memory.limit_in_bytes'),
    pids: read('pids', 'pids.max'),
    cpu: Number(quota) / Number(period),
  };
}
