/** Starting and stopping 1, 10 and 50 services; a command inside one; a crash; and the memory all of it takes. */
import { execFileSync } from 'node:child_process';
import { makeFloor, makeProject, memoryOf, rootfsFolder, statuses, supervisorPid, timed, until, withFolder } from './measure.mjs';

const aims = { 1: { up: 190, down: 190 }, 10: { up: 270, down: 230 }, 50: { up: 600, down: 400 } };

export async function run({ runs, record }) {
  const rootfs = `${rootfsFolder('busybox')}/busybox`;
  // A program that ends at once when told to, so that `down` measures tscompose and not a grace period.
  const service = { image: `rootfs:${rootfs}`, command: ['sleep', 'infinity'], stop_signal: 'SIGKILL' };
  await withFolder(async (folder) => {
    record({
      what: 'an empty Node program',
      unit: 'ms',
      samples: await repeat(runs, () => timed(() => execFileSync(process.execPath, ['-e', '']))),
    });
    const floor = makeFloor(folder, rootfs);
    for (const count of [1, 10, 50]) await upAndDown({ count, runs, record, floor, folder, service });
    await whileRunning({ runs, record, folder, service });
  });
}

/** Program and floor take turns, so that a busy moment of the machine meets both. */
async function upAndDown({ count, runs, record, floor, folder, service }) {
  const samples = { up: [], down: [], floorUp: [], floorDown: [] };
  const project = makeProject(folder, count, service);
  try {
    for (let round = 0; round < runs; round++) {
      const { upMs, downMs } = floor(count);
      samples.floorUp.push(upMs);
      samples.floorDown.push(downMs);
      samples.up.push(await timed(() => project.run('up', '-d')));
      samples.down.push(await timed(() => project.run('down')));
    }
  } finally {
    project.run('down', '-v');
  }
  record({ what: `up -d, ${count}`, unit: 'ms', samples: samples.up, floor: samples.floorUp, aim: aims[count].up });
  record({ what: `down, ${count}`, unit: 'ms', samples: samples.down, floor: samples.floorDown, aim: aims[count].down });
}

async function whileRunning({ runs, record, folder, service }) {
  const project = makeProject(folder, 10, { ...service, restart: 'always' });
  try {
    project.run('up', '-d');
    record({
      what: 'up -d, nothing to do, 10',
      unit: 'ms',
      samples: await repeat(runs, () => timed(() => project.run('up', '-d'))),
    });
    record({ what: 'ps, 10', unit: 'ms', samples: await repeat(runs, () => timed(() => project.run('ps'))) });
    record({
      what: 'exec true',
      unit: 'ms',
      samples: await repeat(runs, () => timed(() => project.run('exec', '-T', 's1', 'true'))),
      aim: 100,
    });
    record({ what: 'crash to running again', unit: 'ms', samples: await crashes(project, runs) });
    recordMemory(project, record);
  } finally {
    project.run('down', '-v');
  }
}

/** One crash each of different services: the second of one service would wait for the back-off, which is docker's. */
function crashes(project, runs) {
  const victims = statuses(project).slice(0, Math.min(runs, 10));
  return repeatOver(victims, (victim) =>
    timed(async () => {
      process.kill(Number(victim.pid), 'SIGKILL');
      await until(() =>
        statuses(project).some(
          (status) => status.shim === victim.shim && status.state === 'running' && status.pid !== victim.pid,
        ),
      );
    }),
  );
}

function recordMemory(project, record) {
  const supervisor = memoryOf(supervisorPid(project));
  const shims = statuses(project).map((status) => memoryOf(status.shim));
  record({ what: 'supervisor, Rss', unit: 'kB', samples: [supervisor.rss] });
  record({ what: 'supervisor, Pss', unit: 'kB', samples: [supervisor.pss] });
  record({ what: 'one shim, Rss', unit: 'kB', samples: shims.map((shim) => shim.rss) });
  record({ what: 'one shim, Pss', unit: 'kB', samples: shims.map((shim) => shim.pss) });
}

function repeat(times, measure) {
  return repeatOver(Array.from({ length: times }), measure);
}

async function repeatOver(list, measure) {
  const samples = [];
  for (const entry of list) samples.push(await measure(entry));
  return samples;
}
