#!/usr/bin/env node
/**
 * Kills the supervisor where it hurts: ROUNDS times (30) during `up -d` of a stack of SERVICES (50) services that count aloud, by turns
 * at a random moment and when a random number of services runs, and STEADY times (10) while everything runs. After every kill containers that ran go on as the same
 * processes, no line is lost or told twice, the next `up` converges and the one after it finds nothing to do; `down` leaves nothing.
 *
 *     ROUNDS=30 SERVICES=50 STEADY=10 SEED=1 node test/soak/kill-supervisor.mjs
 *
 * Needs root and a built program. Where others use the machine meanwhile, with processes of its own, so that it sees no others:
 *
 *     unshare --pid --mount --fork --mount-proc sh -c 'node test/soak/kill-supervisor.mjs; exit $?'
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { takeSnapshot } from '../support/snapshot.mjs';
import {
  changed,
  checkCounts,
  downToNothing,
  kill,
  makeStack,
  remove,
  run,
  running,
  start,
  supervisorOf,
  until,
} from './stack.mjs';

const rounds = Number(process.env.ROUNDS ?? 30);
const services = Number(process.env.SERVICES ?? 50);
const steady = Number(process.env.STEADY ?? 10);
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
const random = randomFrom(seed);

const stack = makeStack(services);
console.log(`seed ${seed}, ${services} services, root ${stack.root}`);
try {
  const lengthMs = await measureUp();
  for (let round = 1; round <= rounds; round++)
    await killDuringUp(round, round % 2 === 0 ? afterServices() : afterTime(lengthMs));
  if (steady > 0) await killAtSteadyState();
  console.log(`passed: ${rounds} kills during up, ${steady} at steady state`);
} finally {
  await remove(stack);
}

async function measureUp() {
  const before = takeSnapshot();
  const { ms } = await run(stack, 'up', '-d');
  const down = await downToNothing(stack, before);
  console.log(`undisturbed: up ${Math.round(ms)} ms, down ${Math.round(down.ms)} ms`);
  return ms;
}

function afterTime(lengthMs) {
  const afterMs = Math.round(random() * lengthMs);
  return { said: `after ${afterMs} ms`, wait: () => sleep(afterMs) };
}

function afterServices() {
  const some = 1 + Math.floor(random() * (services - 1));
  return { said: `when ${some} ran`, wait: () => until('some services to run', () => running(stack).size >= some) };
}

async function killDuringUp(round, moment) {
  const before = takeSnapshot();
  const up = start(stack, 'up', '-d');
  await moment.wait();
  const victim = await until('a supervisor', () => supervisorOf(stack));
  const ran = running(stack);
  kill(victim);
  const killed = await up.finished;
  expectSame(ran, 'after the kill');

  const next = await converge();
  expectSame(ran, 'after the next up');
  const lines = await checkCounts(stack);
  await downToNothing(stack, before);
  console.log(
    `round ${round}: killed ${moment.said} (up ended with ${killed.code}), ${ran.size} ran, next up ${Math.round(next.ms)} ms, ${lines} lines`,
  );
}

/** The next `up` brings everything up, and the one after it has nothing to do. */
async function converge() {
  const next = await run(stack, 'up', '-d');
  if (running(stack).size !== services) throw new Error(`${running(stack).size} of ${services} run after the next up`);
  const again = await run(stack, 'up', '-d');
  if (!again.text.includes('Nothing to do')) throw new Error(`a second up did something:\n${again.text}`);
  return next;
}

async function killAtSteadyState() {
  const before = takeSnapshot();
  await run(stack, 'up', '-d');
  const ran = running(stack);
  const healed = [];
  for (let time = 0; time < steady; time++) {
    const victim = await until('a supervisor', () => supervisorOf(stack));
    const at = performance.now();
    kill(victim);
    await until('another supervisor, brought back by the shims', () => ![undefined, victim].includes(supervisorOf(stack)));
    healed.push(performance.now() - at);
    await sleep(random() * 300);
    expectSame(ran, 'at steady state');
  }
  await converge();
  expectSame(ran, 'at steady state');
  const lines = await checkCounts(stack);
  await downToNothing(stack, before);
  const sorted = healed.sort((a, b) => a - b);
  console.log(
    `steady: ${steady} kills, another supervisor after ${Math.round(sorted[Math.floor(steady / 2)])} ms (median), ${Math.round(sorted.at(-1))} ms (worst), ${lines} lines`,
  );
}

function expectSame(ran, when) {
  const lost = changed(ran, running(stack));
  if (lost.length > 0)
    throw new Error(`${when} ${lost.length} of ${ran.size} containers are not the same processes any more: ${lost.join(' ')}`);
}

/** mulberry32: the same seed, the same moments. */
function randomFrom(start) {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
