import { describe, expect, test } from 'vitest';
import { loadText } from './support.ts';

/** The warnings of a file with one service, `web`, as "line: message". */
function warningsOf(service: string, rest = ''): string[] {
  const { diagnostics } = loadText(`name: shop\nservices:\n  web:\n    image: host:/usr\n${service}${rest}`);
  return diagnostics.filter(({ severity }) => severity === 'warning').map(({ at, message }) => `${at?.line}: ${message}`);
}

describe('what has no effect is said, at its place', () => {
  test.each([
    ['    logging: {driver: journald}\n', '', 'services.web.logging.driver: "journald"'],
    ['    logging: {driver: local, options: {compress: "true"}}\n', '', 'services.web.logging.options: "compress"'],
    ['    userns_mode: keep-id\n', '', 'services.web.userns_mode: "keep-id"'],
    ['    security_opt: ["no-new-privileges:true", "apparmor=tight"]\n', '', 'services.web.security_opt: "apparmor=tight"'],
    ['    networks: [lan]\n', 'networks: {lan: {driver: macvlan}}\n', 'networks.lan.driver: "macvlan"'],
    ['    networks: [lan]\n', 'networks: {lan: {enable_ipv6: true}}\n', 'networks.lan.enable_ipv6: "true"'],
    ['    volumes: ["data:/data"]\n', 'volumes: {data: {driver_opts: {type: nfs}}}\n', 'volumes.data.driver_opts: "type"'],
  ])('%j %j', (service, rest, place) => {
    expect(warningsOf(service, rest)).toEqual([`${rest === '' ? 5 : 6}: ${place} is not supported yet and has no effect`]);
  });

  test.each([
    'post_start: [{command: [true]}]',
    'pre_stop: [{command: [true]}]',
    'runtime: runc',
    'platform: linux/amd64',
    'pull_policy: always',
  ])('%s', (attribute) => {
    expect(warningsOf(`    ${attribute}\n`)).toEqual([
      expect.stringMatching(/^5: services\.web\.\w+ is not supported yet and has no effect$/),
    ]);
  });
});

describe('what acts is not warned of', () => {
  test.each([
    ['    logging: {driver: json-file, options: {max-size: 1m, max-file: "2"}}\n', ''],
    ['    userns_mode: host\n', ''],
    ['    security_opt: ["no-new-privileges:true", "seccomp=unconfined", "label=disable"]\n', ''],
    ['    networks: [lan]\n', 'networks: {lan: {driver: bridge, driver_opts: {com.docker.network.driver.mtu: "1400"}}}\n'],
    ['    volumes: ["data:/data"]\n', 'volumes: {data: {driver: local}}\n'],
  ])('%j %j', (service, rest) => {
    expect(warningsOf(service, rest)).toEqual([]);
  });
});
