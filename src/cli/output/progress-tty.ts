/** Live progress on a terminal. listr2 draws; what is drawn, frame.ts decides. Imported only when stderr is a terminal. */
import { Listr, ListrDefaultRendererLogLevels, ListrLogger, ProcessOutput } from 'listr2';
import type { Event } from '../../events.ts';
import { type FrameOptions, frameHeader, frameLines, type Rows, withStep } from './frame.ts';
import { type Progress, type ProgressOptions, plainTeller } from './progress.ts';

/** Between two pictures, in milliseconds; listr2's own spinner turns as fast. */
const FRAME_MS = 100;
/** listr2 indents output by this. */
const INDENT = 4;

interface DrawnTask {
  title: string | undefined;
  output: string | undefined;
}

export async function createLive(options: ProgressOptions): Promise<Progress> {
  let rows: Rows = new Map();
  let tick = 0;
  const laterEvents: Event[] = [];
  const finish = newSignal<void>();
  const begun = newSignal<DrawnTask>();
  const running = drawTask(begun.resolve, finish.promise).catch(() => undefined);
  const task = await begun.promise;
  const draw = (): void => {
    const frame = frameOptions(options, tick++);
    task.title = frameHeader(rows, frame);
    // listr2 indents by itself, and keeps an empty output as an empty line.
    const lines = frameLines(rows, frame).map((line) => line.slice(1));
    if (lines.length > 0) task.output = lines.join('\n');
  };
  const timer = setInterval(draw, FRAME_MS);
  return {
    tell: (event) => {
      if (event.type === 'step') rows = withStep(rows, event, options.now());
      else laterEvents.push(event);
    },
    end: async () => {
      clearInterval(timer);
      draw();
      finish.resolve();
      await running;
      laterEvents.forEach(plainTeller(options));
    },
  };
}

function drawTask(begin: (task: DrawnTask) => void, finish: Promise<void>): Promise<unknown> {
  const logger = new ListrLogger<ListrDefaultRendererLogLevels>({
    useIcons: false,
    toStderr: [],
    // listr2 draws on what it calls stdout; progress belongs on stderr.
    processOutput: new ProcessOutput(process.stderr, process.stderr),
  });
  const { COMPLETED, OUTPUT, OUTPUT_WITH_BOTTOMBAR } = ListrDefaultRendererLogLevels;
  const runTask = (_context: unknown, task: DrawnTask): Promise<void> => {
    begin(task);
    return finish;
  };
  const list = new Listr([{ title: '', task: runTask, rendererOptions: { outputBar: 1, persistentOutput: true } }], {
    registerSignalListeners: false,
    rendererOptions: {
      logger,
      formatOutput: 'truncate',
      icon: { [COMPLETED]: ' ', [OUTPUT]: ' ', [OUTPUT_WITH_BOTTOMBAR]: ' ' },
    },
  });
  return list.run();
}

function frameOptions({ command, dryRun, now, output, paint }: ProgressOptions, tick: number): FrameOptions {
  const height = Math.max(3, (process.stderr.rows ?? 24) - 4);
  return { command, dryRun, now: now(), columns: Math.max(20, (output.columns ?? 80) - INDENT - 2), height, tick, paint };
}

function newSignal<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
