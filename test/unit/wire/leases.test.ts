import { expect, test } from 'vitest';
import type { ContainerRecord, NetworkRecord, ProjectRecord } from '../../../src/state/record.ts';
import { emptyRecord } from '../../../src/state/record.ts';
import { leasesOf } from '../../../src/wire/leases.ts';
import { aNetwork, aService } from '../../support/builders.ts';

test('leases are made again from the records: subnets, and every address, also on a network of another project', () => {
  const shop = aRecord('shop', [onSubnet('shop_default', '10.89.0.0/24')], [aContainer('a', 'shop_default', '10.89.0.5')]);
  const blog = aRecord('blog', [external('shop_default', '10.89.0.0/24')], [aContainer('b', 'shop_default', '10.89.0.9')]);
  // The guest first: its host's subnet has to be known by then all the same.
  const { networks } = leasesOf([blog, shop]);
  expect(networks).toMatchObject({
    shop_default: { project: 'shop', subnet: '10.89.0.0/24', gateway: '10.89.0.1', leases: { a: '10.89.0.5', b: '10.89.0.9' } },
  });
  expect(Object.keys(networks)).toEqual(['shop_default']);
});

test('of two records that contradict each other the first one counts', () => {
  const first = aRecord('one', [onSubnet('one_default', '10.89.0.0/24')], [aContainer('a', 'one_default', '10.89.0.5')]);
  const second = aRecord('two', [onSubnet('two_default', '10.89.0.0/24')], [aContainer('b', 'two_default', '10.89.0.5')]);
  expect(leasesOf([first, second]).networks).toMatchObject({ one_default: { leases: { a: '10.89.0.5' } } });
  expect(Object.keys(leasesOf([first, second]).networks)).toEqual(['one_default']);
});

function aRecord(project: string, networks: NetworkRecord[], containers: ContainerRecord[]): ProjectRecord {
  return { ...emptyRecord(project), networks, containers };
}

function onSubnet(name: string, subnet: string): NetworkRecord {
  return {
    spec: { ...aNetwork('p', 'default'), name },
    fingerprint: '',
    bridge: 'br',
    subnet,
    gateway: subnet.replace('.0/24', '.1'),
  };
}

function external(name: string, subnet: string): NetworkRecord {
  const network = onSubnet(name, subnet);
  return { ...network, spec: { ...network.spec, external: true } };
}

function aContainer(id: string, network: string, ipv4: string): ContainerRecord {
  const attachment = { network, ipv4, prefix: 24, gateway: '', mac: '', aliases: [], hostLink: '', interfaceName: 'eth0' };
  return {
    id,
    name: id,
    service: id,
    number: 1,
    oneOff: false,
    fingerprint: '',
    spec: aService(id),
    labels: {},
    createdAt: 0,
    attachments: [attachment],
    ports: [],
    anonymousVolumes: {},
    stoppedByUser: false,
    everStarted: true,
  };
}
