import { TscomposeError } from '../../errors.ts';
import type { CommandRun } from '../invocation.ts';
import { run as up } from './up.ts';

export interface ScaleFlags {
  readonly deps: boolean;
}

/** `up -d` for the services named, with so many containers each. */
export const run: CommandRun<ScaleFlags> = async (invocation, operands, flags) => {
  if (operands.length === 0)
    throw new TscomposeError('USAGE', 'no service to scale', { hint: 'write SERVICE=NUMBER, e.g. tscompose scale api=3' });
  const services = operands.map((operand) => operand.split('=')[0] as string);
  return up(invocation, services, { detach: true, scale: operands, deps: flags.deps, attach: [] });
};
