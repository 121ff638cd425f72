import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { arch, release, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Readable, Writable } from 'node:stream';
import { findNative } from '../../../src/core/native.ts';
import { encodeProgram } from '../../../src/core/program.ts';
import type { ProgramOp } from '../../../src/core/protocol.ts';
import { type BundleInput, renderBundle } from '../../../src/runtime/bundle.ts';
import { boundingSetOf } from '../../../src/runtime/capabilities.ts';
import { readHostCgroups } from '../../../src/runtime/cgroup-host.ts';
import { findDeviceNodes, findFileSources, findThrottlePaths } from '../../../src/runtime/host-files.ts';
import { containerCgroups, type LowerContext, lower } from '../../../src/runtime/lower.ts';
import type { OciSpec } from '../../../src/runtime/spec.ts';
import { bundleInput, plainService } from '../../unit/runtime/samples.ts';
import type { Service } from '../../../src/model/project.ts';

export interface Outcome {
  readonly code: number | null;
  readonly output: string;
  /** "OP INDEX ERRNO words" of a launch that failed, else "". */
  readonly failure: string;
}

/** A root file system of the host's /usr in a folder of its own, and the cgroups to go with it; `clean` takes all away. */
export interface Ground {
  readonly folder: string;
  run(service: Partial<Service>, extra?: Extra): Promise<Outcome>;
  start(service: Partial<Service>, extra?: Extra): Started;
  clean(): Promise<void>;
}

export interface Extra {
  readonly input?: Partial<BundleInput>;
  readonly context?: Partial<LowerContext>;
}

export interface Started {
  readonly spec: OciSpec;
  readonly ended: Promise<Outcome>;
  /** Resolves with what has been printed so far once it contains the text. */
  printed(text: string): Promise<string>;
  /** Ends what runs in its cgroups, and with it the launcher. */
  kill(): void;
}

const architecture = arch() === 'arm64' ? 'arm64' : 'x64';
export const ownBoundingSet = boundingSetOf(readFileSync('/proc/self/status', 'utf8'));

export function makeGround(): Ground {
  const folder = mkdtempSync(join(tmpdir(), 'runtime-system-'));
  for (const name of [
    'upper',
    'work',
    'rootfs',
    'image/etc',
    'image/usr',
    'image/tmp',
    'image/root',
    'image/proc',
    'image/sys',
    'image/dev',
  ]) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) linkLikeHost(`/${name}`, join(folder, 'image', name));
  writeFileSync(join(folder, 'image/etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  const cgroups = readHostCgroups();
  const cgroupsPath = `/tscompose/runtime-test-${process.pid}/c`;
  const made = new Set<string>();
  const start = (service: Partial<Service>, { input, context }: Extra = {}): Started => {
    const full = { ...plainService, ...service };
    const spec = renderBundle(
      bundleInput(full, {
        rootPath: join(folder, 'rootfs'),
        hostBinds: ['/usr'],
        cgroupPath: cgroupsPath,
        architecture,
        kernelRelease: release(),
        throttlePaths: findThrottlePaths(),
        deviceNodes: findDeviceNodes(full),
        ...input,
      }),
    );
    const whole: LowerContext = {
      rootfs: { kind: 'overlay', lowerdirs: [join(folder, 'image')], upper: join(folder, 'upper'), work: join(folder, 'work') },
      cgroups,
      architecture,
      files: [],
      init: full.init,
      keyring: 'runtime-test',
      launcherOwnsNetwork: false,
      availableCapabilities: ownBoundingSet,
      fileSources: findFileSources(spec.mounts.map((mount) => mount.source ?? '')),
      ...context,
    };
    for (const directory of containerCgroups(spec, whole)) made.add(directory);
    return { spec, ...runProgram(lower(spec, whole)), kill: () => endAll(containerCgroups(spec, whole)) };
  };
  return {
    folder,
    start,
    run: (service, extra) => start(service, extra).ended,
    async clean() {
      const used = [...made].filter((directory) => existsSync(directory));
      if (used.length > 0) await emptied(used);
      for (const directory of used)
        for (const path of [directory, dirname(directory), dirname(dirname(directory))]) removeEmpty(path);
      rmSync(folder, { recursive: true });
    },
  };
}

function endAll(cgroups: readonly string[]): void {
  for (const pid of processesOf(cgroups[0] as string)) process.kill(pid, 'SIGKILL');
}

function processesOf(cgroup: string): readonly number[] {
  return readFileSync(`${cgroup}/cgroup.procs`, 'utf8').split('\n').filter(Boolean).map(Number);
}

/** A test that failed may have left something running. */
async function emptied(cgroups: readonly string[]): Promise<void> {
  endAll(cgroups);
  while (cgroups.some((cgroup) => processesOf(cgroup).length > 0)) await setTimeout(5);
}

/** Another project's cgroups may be beside ours: then the folder above stays. */
function removeEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && ['ENOTEMPTY', 'EBUSY', 'ENOENT'].includes(String(error.code))))
      throw error;
  }
}

function linkLikeHost(path: string, to: string): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat) symlinkSync(readlinkSync(path), to);
}

/** `core exec FD STATUSFD` */
export function runProgram(ops: readonly ProgramOp[]): Pick<Started, 'ended' | 'printed'> {
  const child = spawn(findNative(), ['exec', '3', '4'], { stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'] });
  const [, output, errors, program, status] = child.stdio as unknown as [null, Readable, Readable, Writable, Readable];
  const state = { output: '', failure: '' };
  output.on('data', (bytes: Buffer) => {
    state.output += bytes.toString();
  });
  errors.on('data', (bytes: Buffer) => {
    state.output += bytes.toString();
  });
  status.on('data', (bytes: Buffer) => {
    state.failure += bytes.toString();
  });
  program.end(encodeProgram(ops));
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...state }));
  });
  return {
    ended,
    printed: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (state.output.includes(text)) resolve(state.output);
        };
        output.on('data', look);
        child.on('close', () => reject(new Error(`ended without "${text}": ${state.output} ${state.failure}`)));
        look();
      }),
  };
}
