/** The four renderers of progress: live on a terminal, plain lines, JSON lines, nothing. All write to one stream, never to stdout by themselves. */
import type { Event, EventSink } from '../../events.ts';
import type { Output } from '../surroundings.ts';
import { formatError, type FindingContext } from './error.ts';
import { fromErrorRecord } from '../../errors.ts';
import type { Paint } from './style.ts';
import { makePlain } from './visible.ts';

export type ProgressMode = 'tty' | 'plain' | 'json' | 'quiet';

export interface Progress {
  readonly tell: EventSink;
  /** Leaves the final picture on the screen; what comes later is written as plain lines. */
  end(): Promise<void>;
}

export interface ProgressOptions {
  readonly mode: ProgressMode;
  readonly output: Output;
  readonly paint: Paint;
  readonly cwd: string;
  readonly dryRun: boolean;
  /** Word of the header: "up". */
  readonly command: string;
  readonly now: () => number;
}

export function createProgress(options: ProgressOptions): Progress {
  switch (options.mode) {
    case 'tty':
      return liveProgress(options);
    case 'plain':
      return { tell: plainTeller(options), end: async () => undefined };
    case 'json':
      return { tell: jsonTeller(options), end: async () => undefined };
    case 'quiet':
      return { tell: quietTeller(options), end: async () => undefined };
  }
}

/** Which renderer: asked for, or what stderr is. `none` is docker's other word for quiet. */
export function chooseMode(asked: string, output: Output): ProgressMode {
  if (asked === 'tty' || asked === 'plain' || asked === 'json' || asked === 'quiet') return asked;
  if (asked === 'none') return 'quiet';
  return output.isTTY ? 'tty' : 'plain';
}

/** The live renderer loads only when the first step comes, so that a command without steps pays nothing for it. */
function liveProgress(options: ProgressOptions): Progress {
  const plain = plainTeller(options);
  let waiting: Event[] | undefined = [];
  let live: Promise<Progress> | undefined;
  let ended = false;
  const start = async (): Promise<Progress> => {
    const { createLive } = await import('./progress-tty.ts');
    const progress = await createLive(options);
    for (const event of waiting ?? []) progress.tell(event);
    waiting = undefined;
    started = progress;
    return progress;
  };
  let started: Progress | undefined;
  return {
    tell: (event) => {
      if (ended || event.type === 'container') return plain(event);
      if (started) return started.tell(event);
      if (event.type === 'plan' && event.steps === 0) return plain(event);
      waiting?.push(event);
      live ??= start();
    },
    end: async () => {
      if (ended) return;
      await (await live)?.end();
      ended = true;
    },
  };
}

/** ` Container shop-api-1  Started`; steps that begin and end are told both, as docker compose's plain progress does. */
export function plainTeller({ output, dryRun, paint, cwd }: ProgressOptions): EventSink {
  const prefix = dryRun ? 'DRY-RUN MODE - ' : '';
  return (event) => {
    switch (event.type) {
      case 'step': {
        const details = event.details === undefined ? '' : ` ${makePlain(event.details)}`;
        output.write(`${prefix} ${event.resource} ${makePlain(event.name)}  ${event.text}${details}\n`);
        return;
      }
      case 'plan':
        for (const notice of event.notices) output.write(warningLine(notice, paint));
        return;
      default:
        tellFinding(event, output, { paint, cwd });
    }
  };
}

/** docker compose's `--progress json`: one object a line. */
export function jsonTeller({ output, dryRun }: ProgressOptions): EventSink {
  const write = (value: object): void => output.write(`${JSON.stringify(value)}\n`);
  return (event) => {
    switch (event.type) {
      case 'step':
        write({
          id: `${event.resource} ${event.name}`,
          status: jsonStatus[event.status],
          text: event.text,
          ...(event.details !== undefined && { details: event.details }),
          ...(event.because !== undefined && { because: event.because }),
          ...(dryRun && { 'dry-run': true }),
        });
        return;
      case 'plan':
        for (const notice of event.notices) write({ warning: true, message: notice });
        return;
      case 'warning':
        write({ warning: true, message: event.message });
        return;
      case 'error':
        write({ error: true, code: event.error.code, message: event.error.message });
        return;
      case 'container':
        return;
    }
  };
}

const jsonStatus = { working: 'Working', done: 'Done', warning: 'Warning', error: 'Error' } as const;

/** Without progress errors are still told. */
export function quietTeller({ output, paint, cwd }: ProgressOptions): EventSink {
  return (event) => {
    if (event.type === 'error') tellFinding(event, output, { paint, cwd });
  };
}

function tellFinding(event: Event, output: Output, context: FindingContext): void {
  if (event.type === 'warning') output.write(warningLine(event.message, context.paint));
  if (event.type === 'error') output.write(formatError(fromErrorRecord(event.error), context, false));
}

export function warningLine(message: string, paint: Paint): string {
  return `${paint('yellow', 'warning:')} ${makePlain(message)}\n`;
}
