import { describe, expect, test } from 'vitest';
import { attachedServices } from '../../../src/cli/attached.ts';
import { afterChange, type AttachRules, attachedExitCode, nothingAttached } from '../../../src/cli/attach-state.ts';
import { TscomposeError } from '../../../src/errors.ts';
import type { ContainerChange } from '../../../src/events.ts';
import { type FakeWorld, fakeWorld, makeContainer, makeService, NOW } from './fakes.ts';

const planOf = (steps: number): unknown => ({
  plan: { project: 'shop', steps: Array.from({ length: steps }, () => ({})), notices: [] },
});

function change(service: string, action: ContainerChange['action'], more: Partial<ContainerChange> = {}): ContainerChange {
  const { id, name } = makeContainer(service);
  return { time: NOW, id, name, service, number: 1, oneOff: false, action, ...more };
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error('never came true');
}

describe('up -d', () => {
  test('hands flags on', async () => {
    const world = fakeWorld();
    world.answers.up = () => planOf(1);
    expect(
      await world.run(
        'up',
        '-d',
        '--no-deps',
        '--force-recreate',
        '--scale',
        'web=2',
        '-t',
        '1',
        '--remove-orphans',
        '-V',
        'web',
      ),
    ).toBe(0);
    expect(world.calls[0]).toMatchObject({
      method: 'up',
      params: {
        options: {
          services: ['web'],
          noDeps: true,
          recreate: 'always',
          alwaysRecreateDeps: false,
          removeOrphans: true,
          start: true,
          scale: { web: 2 },
          wait: false,
          timeoutMs: 1000,
          renewAnonVolumes: true,
        },
      },
    });
  });

  test('says when there was nothing to do', async () => {
    const world = fakeWorld();
    world.answers.up = () => planOf(0);
    expect(await world.run('up', '-d')).toBe(0);
    expect(world.stderr()).toBe('Nothing to do: "shop" is as the files say.\n');
  });

  test('ends with the code of an error', async () => {
    const world = fakeWorld();
    world.answers.up = () => Promise.reject(new TscomposeError('COMMAND_NOT_FOUND', 'no such program'));
    expect(await world.run('up', '-d')).toBe(127);
  });

  test('tells an error once, though it comes as event and as answer', async () => {
    const world = fakeWorld();
    world.answers.up = (_params, tell) => {
      tell({ type: 'error', error: { code: 'PORT_TAKEN', message: 'taken', details: {} } });
      return Promise.reject(new TscomposeError('PORT_TAKEN', 'taken'));
    };
    expect(await world.run('up', '-d')).toBe(1);
    expect(world.stderr()).toBe('error PORT_TAKEN: taken\n');
  });

  test('ends with 130 on Ctrl-C', async () => {
    const world = fakeWorld();
    world.answers.up = () => new Promise(() => undefined);
    const running = world.run('up', '-d');
    await until(() => world.calls.length > 0);
    world.signal('SIGINT');
    expect(await running).toBe(130);
  });

  test.each([
    ['--force-recreate', '--no-recreate'],
    ['-d', '--abort-on-container-exit'],
    ['-d', '--attach', 'web'],
    ['--wait', '--exit-code-from', 'web'],
    ['-d', '--watch'],
    ['--scale', 'web'],
    ['--scale', 'web=-1'],
  ])('%s %s is a contradiction or nonsense', async (...flags) => {
    const world = fakeWorld();
    expect(await world.run('up', ...flags)).toBe(1);
    expect(world.stderr()).toContain('error USAGE');
    expect(world.calls).toEqual([]);
  });

  test('run dry shows the plan and does nothing', async () => {
    const world = fakeWorld();
    expect(await world.run('--dry-run', 'up')).toBe(0);
    expect(world.stdout()).toMatch(/^DRY-RUN MODE - \+ create-container +shop-web-1/);
    expect(world.calls).toEqual([]);
  });

  test('create lays down without starting, scale changes numbers', async () => {
    const world = fakeWorld();
    world.answers.up = () => planOf(1);
    await world.run('create');
    await world.run('scale', 'web=3');
    expect(world.calls.map(({ params }) => (params as { options: unknown }).options)).toMatchObject([
      { start: false },
      { start: true, services: ['web'], scale: { web: 3 } },
    ]);
  });
});

describe('up attached', () => {
  const services = [makeService('web'), makeService('job')];

  /** The stack comes up with both containers running. */
  function started(options: Parameters<typeof fakeWorld>[0] = {}): FakeWorld {
    const world = fakeWorld({ services, ...options });
    world.answers.up = () => {
      world.observed = { ...world.observed, containers: [makeContainer('web'), makeContainer('job')] };
      for (const service of ['web', 'job']) world.tell({ type: 'container', change: change(service, 'start') });
      return planOf(4);
    };
    return world;
  }
  const say = (world: FakeWorld, service: string, time: string, text: string) =>
    world.lines.push({ containerId: makeContainer(service).id, time, stream: 'stdout', text });
  const isAttached = (world: FakeWorld) => () => world.stdout().includes('Attaching to');
  const die = (world: FakeWorld, service: string, exitCode: number, more: Partial<ContainerChange> = {}) =>
    world.tell({ type: 'container', change: change(service, 'die', { exitCode, ...more }) });

  test('shows output and ends, with 0, when everything has ended', async () => {
    const world = started();
    const running = world.run('up');
    await until(isAttached(world));
    say(world, 'web', '1', 'hello');
    die(world, 'job', 3, { restartInMs: 100 });
    die(world, 'job', 3);
    say(world, 'web', '2', 'last words');
    die(world, 'web', 0);
    expect(await running).toBe(0);
    const out = world.stdout();
    expect(out).toContain('web-1  | hello\n');
    expect(out).toContain('job-1 exited with code 3 (restarting)\n');
    expect(out).toContain('job-1 exited with code 3\n');
    expect(out.indexOf('web-1  | last words')).toBeLessThan(out.indexOf('web-1 exited with code 0'));
    expect(out.indexOf('web-1  | last words')).toBeGreaterThan(-1);
  });

  test('stops everything on Ctrl-C and ends with 130', async () => {
    const world = started();
    const running = world.run('up');
    await until(isAttached(world));
    world.signal('SIGINT');
    expect(await running).toBe(130);
    expect(world.stdout()).toContain('Gracefully Stopping... press Ctrl+C again to force\n');
    expect(world.calls.find(({ method }) => method === 'stop')).toEqual({ method: 'stop', params: { services: ['web', 'job'] } });
    expect([...world.signals.values()].every((listeners) => listeners.size === 0)).toBe(true);
  });

  test('SIGTERM is as the first Ctrl-C', async () => {
    const world = started();
    const running = world.run('up');
    await until(isAttached(world));
    world.signal('SIGTERM');
    expect(await running).toBe(130);
  });

  test('kills on the second Ctrl-C, without waiting for the first', async () => {
    const world = started();
    world.answers.stop = () => new Promise(() => undefined);
    const running = world.run('up');
    await until(isAttached(world));
    world.signal('SIGINT');
    await until(() => world.calls.some(({ method }) => method === 'stop'));
    world.signal('SIGINT');
    expect(await running).toBe(130);
    expect(world.calls.at(-1)).toMatchObject({ method: 'kill', params: { signal: 'SIGKILL' } });
  });

  test('Ctrl-C while still starting stops as well', async () => {
    const world = fakeWorld({ services });
    world.answers.up = () => new Promise(() => undefined);
    const running = world.run('up');
    await until(() => world.calls.some(({ method }) => method === 'up'));
    world.signal('SIGINT');
    expect(await running).toBe(130);
    expect(world.calls.at(-1)?.method).toBe('stop');
  });

  test.each([
    [['--abort-on-container-exit'], 'job', 0, 0],
    [['--abort-on-container-exit'], 'job', 5, 5],
    [['--abort-on-container-failure'], 'job', 5, 5],
    [['--exit-code-from', 'job'], 'job', 9, 9],
  ])('%j stops the rest when %s ends with %d, and ends with %d', async (flags, service, code, expected) => {
    const world = started();
    const running = world.run('up', ...flags);
    await until(isAttached(world));
    die(world, service, code);
    expect(await running).toBe(expected);
    expect(world.calls.some(({ method }) => method === 'stop')).toBe(true);
  });

  test('a failed start ends with its code and leaves nothing listening', async () => {
    const world = fakeWorld({ services });
    world.answers.up = () => Promise.reject(new TscomposeError('DEPENDENCY_FAILED', 'store is unhealthy'));
    expect(await world.run('up')).toBe(1);
    expect(world.stderr()).toContain('store is unhealthy');
    expect([...world.signals.values()].every((listeners) => listeners.size === 0)).toBe(true);
  });
});

const rules: AttachRules = { isAttached: (service) => service !== 'quiet', abortOn: 'failure', exitCodeFrom: 'web' };

test.each([
  [change('web', 'start'), { follow: true, live: 1 }],
  [change('quiet', 'start'), { follow: false, live: 0 }],
  [change('web', 'start', { oneOff: true }), { follow: false, live: 0 }],
  [change('web', 'health'), { follow: false, live: 0 }],
])('after %j', (event, { follow, live }) => {
  const next = afterChange(nothingAttached, event, rules);
  expect([next.follow, next.state.live.size]).toEqual([follow, live]);
});

test('the first failure decides the exit code, unless a service was named for it', () => {
  const one = afterChange(nothingAttached, change('job', 'die', { exitCode: 3 }), rules).state;
  const two = afterChange(one, change('other', 'die', { exitCode: 4 }), rules).state;
  expect(attachedExitCode(two)).toBe(3);
  expect(attachedExitCode(afterChange(two, change('web', 'die', { exitCode: 0 }), rules).state)).toBe(0);
});

test.each([
  [[], [], ['a', 'b']],
  [['a'], [], ['a']],
  [['a'], ['c'], ['c']],
  [[], ['!a'], ['b']],
])('up %j with --attach %j shows %j', (named, attach, shown) => {
  const services = [makeService('a'), makeService('b'), makeService('c', { attach: false })];
  expect([...attachedServices(services, named, { attach })]).toEqual(shown);
});
