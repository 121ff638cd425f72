import { expect, test } from 'vitest';
import { formatConfig, type ConfigModel } from '../../../src/load/load.ts';
import { loadText } from './support.ts';

const text = `name: shop
x-notes: {a: 1}
services:
  web:
    image: nginx:1
    profiles: [front]
    ports: ["8080:80"]
    volumes: ["./www:/srv:ro", "data:/data"]
    command: serve --price '5$$'
    environment: [B=2, A=1]
    env_file: web.env
    depends_on: [db]
    stop_grace_period: 90s
    mem_limit: 64m
  db:
    image: postgres
    healthcheck: {test: pg_isready, interval: 1s}
volumes:
  data:
secrets:
  key: {file: ./key}
`;

const { model } = loadText(text, { profiles: ['front'], also: { '/shop/web.env': 'C=3\n' } });

test('config prints the canonical form', () => {
  expect(formatConfig(model as ConfigModel, 'yaml')).toMatchInlineSnapshot(`
    "name: shop
    services:
      db:
        command: null
        entrypoint: null
        healthcheck:
          test:
            - CMD-SHELL
            - pg_isready
          interval: 1s
        image: postgres
        networks:
          default: null
      web:
        profiles:
          - front
        command:
          - serve
          - --price
          - 5$$
        depends_on:
          db:
            condition: service_started
            required: true
        entrypoint: null
        environment:
          A: "1"
          B: "2"
          C: "3"
        image: nginx:1
        mem_limit: "67108864"
        networks:
          default: null
        ports:
          - mode: ingress
            target: 80
            published: "8080"
            protocol: tcp
        stop_grace_period: 1m30s
        volumes:
          - type: bind
            source: /shop/www
            target: /srv
            read_only: true
            bind: {}
          - type: volume
            source: data
            target: /data
            volume: {}
    networks:
      default:
        name: shop_default
        ipam: {}
    volumes:
      data:
        name: shop_data
    secrets:
      key:
        file: /shop/key
        name: shop_key
    x-notes:
      a: 1
    "
  `);
});

test('config prints the same as JSON', () => {
  const printed = JSON.parse(formatConfig(model as ConfigModel, 'json')) as Record<string, unknown>;
  expect(Object.keys(printed)).toEqual(['name', 'services', 'networks', 'volumes', 'secrets', 'x-notes']);
});

test.each(['yaml', 'json'] as const)('what config prints as %s loads to the same project', (format) => {
  const first = loadText(text, { profiles: ['front'], also: { '/shop/web.env': 'C=3\n' } });
  const again = loadText(formatConfig(first.model as ConfigModel, format), { profiles: ['front'] });
  expect(again.project).toEqual(first.project);
  expect(again.model).toEqual({ ...first.model, services: again.model?.['services'] });
});
