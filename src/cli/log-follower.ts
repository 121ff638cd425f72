/** Follows the logs of containers as they come and go, and prints them on one screen. */
import type { Doors, LogLine, LogWish } from './doors.ts';
import type { LogFormatter } from './output/log-lines.ts';

/** Lines wait this long for older ones of other containers, in milliseconds: nobody sees it, and the order reads right. */
const MIXING_MS = 20;
/** The log of a container that goes on counts as drained when nothing came for this long. */
const SILENCE_MS = 40;
const DRAIN_LIMIT_MS = 1000;

export interface Followed {
  readonly id: string;
  /** As the prefix shows it: "api-1". */
  readonly source: string;
}

export interface LogFollower {
  /** Begins to follow; containers that are followed already are left alone. What is there is shown in the order of its times. */
  follow(containers: readonly Followed[], wish: LogWish): void;
  /** Resolves when what the container wrote until now is on the screen; with `forGood` it is followed no more. */
  drain(id: string, forGood: boolean): Promise<void>;
  /** Prints what was written until now and follows no more. */
  stop(): Promise<void>;
}

export interface FollowerOptions {
  readonly doors: Pick<Doors, 'logs'>;
  readonly project: string;
  readonly formatter: LogFormatter;
  readonly print: (text: string, stream: LogLine['stream']) => void;
}

interface Reader {
  readonly ids: readonly string[];
  readonly abort: AbortController;
  readonly done: Promise<void>;
  readonly lastLine: { at: number };
}

export function followLogs({ doors, project, formatter, print }: FollowerOptions): LogFollower {
  const readers = new Set<Reader>();
  /** Time of the last line shown of each container: one that is followed again does not begin from the start. */
  const shownUntil = new Map<string, string>();
  const readerOf = (id: string): Reader | undefined => [...readers].find((reader) => reader.ids.includes(id));
  const mixer = createMixer(({ source, line }) =>
    print(formatter.format({ source, time: line.time, text: line.text }), line.stream),
  );
  return {
    follow: (containers, wish) => {
      const fresh = containers.filter(({ id }) => !readerOf(id));
      if (fresh.length === 0) return;
      formatter.expect(fresh.map(({ source }) => source));
      const abort = new AbortController();
      const lastLine = { at: performance.now() };
      const sources = new Map(fresh.map(({ id, source }) => [id, source]));
      const before = new Map(shownUntil);
      const read = async (): Promise<void> => {
        for await (const line of doors.logs(project, [...sources.keys()], { ...wish, follow: true }, abort.signal)) {
          if (line.time <= (before.get(line.containerId) ?? '')) continue;
          lastLine.at = performance.now();
          shownUntil.set(line.containerId, line.time);
          mixer.add({ source: sources.get(line.containerId) ?? '', line });
        }
      };
      const done = read();
      // Told when the reader is awaited, in drain or stop.
      done.catch(() => undefined);
      readers.add({ ids: [...sources.keys()], abort, done, lastLine });
    },
    drain: async (id, forGood) => {
      const reader = readerOf(id);
      if (!reader) return;
      if (forGood && reader.ids.length === 1) {
        // An aborted reader first gives out all that was written.
        readers.delete(reader);
        reader.abort.abort();
        await reader.done;
      } else await silence(reader);
      mixer.flush();
    },
    stop: async () => {
      for (const reader of readers) reader.abort.abort();
      await Promise.all([...readers].map((reader) => reader.done));
      readers.clear();
      mixer.flush();
    },
  };
}

async function silence({ lastLine }: Reader): Promise<void> {
  const begun = performance.now();
  const quietFor = (): number => performance.now() - Math.max(begun, lastLine.at);
  while (quietFor() < SILENCE_MS && performance.now() - begun < DRAIN_LIMIT_MS) await sleep(SILENCE_MS - quietFor());
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(1, milliseconds)));
}

interface MixedLine {
  readonly source: string;
  readonly line: LogLine;
}

interface Mixer {
  add(line: MixedLine): void;
  flush(): void;
}

function createMixer(print: (line: MixedLine) => void): Mixer {
  let waiting: MixedLine[] = [];
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const lines = waiting;
    waiting = [];
    // The sort is stable: lines of one container with equal times keep their order.
    for (const line of lines.sort((a, b) => compareTimes(a.line.time, b.line.time))) print(line);
  };
  return {
    add: (line) => {
      waiting.push(line);
      timer ??= setTimeout(flush, MIXING_MS);
    },
    flush,
  };
}

/** RFC 3339 in UTC with the same number of digits: its text sorts as its time. */
function compareTimes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
