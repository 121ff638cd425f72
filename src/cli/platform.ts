/** Whether this machine can run tscompose at all. Read before anything else is loaded, so in syntax that old Nodes know. */

/** Debian 13 ships it. */
const LEAST_NODE = [20, 19];

/** One line that says what is wrong; empty when nothing is. */
export function whyUnsuitable(nodeVersion: string, platform: string): string {
  if (platform !== 'linux') {
    return `error NOT_LINUX: tscompose needs Linux, and this is ${platform}\nhint: run it in a Linux machine, real or virtual`;
  }
  const parts = nodeVersion.split('.');
  const major = Number(parts[0]);
  const minor = Number(parts[1]);
  if (major > (LEAST_NODE[0] as number) || (major === LEAST_NODE[0] && minor >= (LEAST_NODE[1] as number))) return '';
  return `error NODE_TOO_OLD: tscompose needs Node ${LEAST_NODE.join('.')} or newer, and this is ${nodeVersion}\nhint: install a newer Node, e.g. 22`;
}
