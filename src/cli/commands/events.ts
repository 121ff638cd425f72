import type { ContainerChange } from '../../events.ts';
import type { CommandRun } from '../invocation.ts';
import { findProjectName, interruption, openSupervisor } from '../project.ts';

export interface EventsFlags {
  readonly json?: boolean;
}

/** Tells every change of the project's containers until Ctrl-C. */
export const run: CommandRun<EventsFlags> = async (invocation, services, flags) => {
  const project = await findProjectName(invocation);
  const client = await openSupervisor(invocation, project);
  const interrupted = interruption(invocation);
  try {
    const images = new Map<string, string>();
    for (const { id, image } of (await client.call('observe', {})).containers) images.set(id, image);
    await client.call('subscribe', {}, (event) => {
      if (event.type !== 'container' || (services.length > 0 && !services.includes(event.change.service))) return;
      invocation.around.stdout.write(
        `${flags.json === true ? eventJson(event.change, images) : eventLine(event.change, images)}\n`,
      );
    });
    await Promise.race([client.closed, interrupted.promise]);
  } finally {
    interrupted.forget();
    client.close();
  }
  return 0;
};

function attributesOf(change: ContainerChange, images: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  return {
    image: images.get(change.id) ?? '',
    name: change.name,
    ...(change.exitCode !== undefined && { exitCode: String(change.exitCode) }),
    ...(change.health !== undefined && { health: change.health }),
  };
}

/** The fields of `docker compose events --json`. */
export function eventJson(change: ContainerChange, images: ReadonlyMap<string, string>): string {
  const { time, service, id, action } = change;
  return JSON.stringify({
    action,
    attributes: attributesOf(change, images),
    id,
    service,
    time: new Date(time).toISOString(),
    type: 'container',
  });
}

/** "2026-11-22 05:56:48.123 container start 0123… (image=host:/usr, name=shop-api-1)" */
export function eventLine(change: ContainerChange, images: ReadonlyMap<string, string>): string {
  const time = new Date(change.time).toISOString().replace('T', ' ').replace('Z', '');
  const attributes = Object.entries(attributesOf(change, images)).map(([key, value]) => `${key}=${value}`);
  return `${time} container ${change.action} ${change.id} (${attributes.join(', ')})`;
}
