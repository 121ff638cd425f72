import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planUp } from '../../../src/plan/plan.ts';
import { printPlan } from '../../../src/plan/print.ts';
import { upOptions } from '../../support/builders.ts';
import { commands, projectSeed } from '../../support/random-projects.ts';
import { type Rehearsal, converge, rehearse } from '../../support/rehearsal.ts';
import { simulate, simulatedMachine } from '../../support/simulated-machine.ts';
import { brokenConnections } from '../../support/simulated-network.ts';

const runs = Number(process.env['TSCOMPOSE_PROPERTY_RUNS'] ?? 1000);

test('whatever was done, changed, lost and interrupted before, one up brings the project up, and then there is nothing left to do', async () => {
  await fc.assert(
    fc.asyncProperty(projectSeed, commands, fc.nat(1_000_000), async (seed, played, latencies) => {
      const rehearsal = rehearse(seed);
      for (const command of played) await rehearsal.play(command);
      await converge(rehearsal, latencies);
      expect(rehearsal.broken).toEqual([]);
      expect(brokenConnections(rehearsal.world)).toEqual([]);
      expect(await whatIsLeftToDo(rehearsal)).toBe('nothing to do');
    }),
    { numRuns: runs },
  );
}, 120_000);

async function whatIsLeftToDo({ world, project }: Rehearsal): Promise<string> {
  const machine = simulatedMachine(world);
  const observed = await simulate(machine, () => machine.observe());
  return observed === undefined ? 'the machine died' : printPlan(planUp(project(), observed, upOptions({ removeOrphans: true })));
}
