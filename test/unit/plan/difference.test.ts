import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fingerprintService } from '../../../src/model/fingerprint.ts';
import type { Service } from '../../../src/model/project.ts';
import { describeDifferences, serviceDifferences } from '../../../src/plan/difference.ts';
import { aHealthCheck, aPort, aProject, aService, dependsOn, onNetwork } from '../../support/builders.ts';

const bind = { type: 'bind', source: '/a', target: '/data', readOnly: false, createHostPath: true } as const;
const changes: readonly [Partial<Service>, Partial<Service>, readonly string[]][] = [
  [{ image: 'a:1' }, { image: 'a:2' }, ['image changed (a:1 → a:2)']],
  [{}, { user: '1000' }, ['user changed (none → 1000)']],
  [
    { environment: { PORT: '1', KEY: 'secret' } },
    { environment: { PORT: '2', NEW: 'x' } },
    ['environment.KEY removed', 'environment.NEW added', 'environment.PORT changed'],
  ],
  [{ command: ['--password', 'x'] }, { command: ['--password', 'y'] }, ['command changed']],
  [{ ports: [aPort(8080, 80)] }, { ports: [aPort(8081, 80)] }, ['ports changed (8080:80 → 8081:80)']],
  [{ capAdd: ['A', 'B'] }, { capAdd: ['B', 'A'] }, ['cap_add changed its order']],
  [{ restart: { kind: 'no' } }, { restart: { kind: 'on-failure', maxAttempts: 3 } }, ['restart changed (no → on-failure:3)']],
  [{ stopGraceMs: 10_000 }, { stopGraceMs: 1500 }, ['stop_grace_period changed (10s → 1.5s)']],
  [
    { healthcheck: aHealthCheck() },
    { healthcheck: aHealthCheck({ intervalMs: 1000, retries: 5 }) },
    ['healthcheck.interval changed (30s → 1s)', 'healthcheck.retries changed (3 → 5)'],
  ],
  [{}, { healthcheck: aHealthCheck() }, ['healthcheck added']],
  [{ resources: { cpus: 1 } }, { resources: { memoryBytes: 1 } }, ['resources.cpus removed', 'resources.memoryBytes added']],
  [{ networks: [onNetwork('a')] }, { networks: [onNetwork('b')] }, ['networks.a removed', 'networks.b added']],
  [
    { networkMode: { kind: 'bridge' } },
    { networkMode: { kind: 'service', service: 'x' } },
    ['network_mode changed (bridge → service:x)'],
  ],
  [{ mounts: [bind] }, { mounts: [{ ...bind, readOnly: true }] }, ['volumes changed (/a:/data → /a:/data:ro)']],
  [{ secrets: [{ source: 's', target: '/s' }] }, { secrets: [] }, ['secrets changed']],
];

describe('what changed is told in the words of the compose file', () => {
  test.each(changes)('%j → %j', (before, after, told) => {
    expect(serviceDifferences(aService('a', before), aService('a', after))).toEqual(told);
  });

  test('but not what needs no new container', () => {
    const after = aService('a', {
      replicas: 3,
      dependsOn: [dependsOn('b')],
      profiles: ['x'],
      pullPolicy: 'always',
      attach: false,
    });
    expect(serviceDifferences(aService('a'), after)).toEqual([]);
  });

  test('and only the first few', () => {
    expect(describeDifferences(['a', 'b', 'c', 'd', 'e', 'f'])).toBe('a, b, c, d and 2 more');
    expect(describeDifferences(['a', 'b'])).toBe('a, b');
  });
});

test('services differ in words exactly when their fingerprints differ', () => {
  const part = fc.constantFrom(...changes.flatMap(([before, after]) => [before, { ...after }]));
  fc.assert(
    fc.property(part, part, part, (a, b, c) => {
      const [before, after] = [aService('a', { ...a, ...c }), aService('a', { ...b, ...c })];
      const project = aProject([before]);
      const isSame = fingerprintService(before, project) === fingerprintService({ ...after }, project);
      // What a project's networks and volumes add to a fingerprint follows from fields that are told as well.
      expect(serviceDifferences(before, after).length === 0).toBe(isSame);
    }),
  );
});
