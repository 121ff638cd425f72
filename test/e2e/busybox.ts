import { rootfsFolder } from '../support/cli.ts';

/** What `image:` says for a busybox root filesystem. */
export const busybox = `rootfs:${rootfsFolder('busybox')}/busybox`;

/** A compose file of services on busybox: name → its attributes as YAML, one a line, without the image. */
export function composeOf(services: Readonly<Record<string, string>>, rest = ''): string {
  const blocks = Object.entries(services).map(
    ([name, attributes]) => `  ${name}:\n    image: ${busybox}\n${indent(attributes, 4)}`,
  );
  return `services:\n${blocks.join('')}${rest}`;
}

/** Attributes of a service that does nothing, and ends at once when told to. */
export const idle = 'command: [sleep, infinity]\ninit: true\n';

/** Lines moved to column `by`; how far the text was indented does not matter. */
function indent(text: string, by: number): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const common = Math.min(...lines.map((line) => line.length - line.trimStart().length));
  return lines.map((line) => `${' '.repeat(by)}${line.slice(common)}\n`).join('');
}
