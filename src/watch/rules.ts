/** Which rules a changed path meets, and what they ask for. Pure. */
import { posix } from 'node:path';
import type { Service, WatchRule } from '../model/project.ts';
import { type PathFilter, pathFilter } from './ignore.ts';

/** A rule of `develop.watch` made ready: its patterns compiled. */
export interface ReadyRule {
  readonly service: string;
  readonly rule: WatchRule;
  /** Takes a path relative to the rule's; "" is the path itself. */
  readonly accepts: PathFilter;
}

/** What a change means for one service. `target` is the path in the container. */
export interface WatchAction {
  readonly service: string;
  readonly rule: WatchRule;
  readonly hostPath: string;
  readonly target?: string;
}

/** A rule that cannot do anything, and why. */
export interface UselessRule {
  readonly service: string;
  readonly path: string;
  readonly because: string;
}

/** `readIgnoreFile` gives the text of a folder's .dockerignore, if there is one. */
export function readyRules(
  services: readonly Service[],
  readIgnoreFile: (folder: string) => string | undefined,
): { rules: ReadyRule[]; useless: UselessRule[] } {
  const rules: ReadyRule[] = [];
  const useless: UselessRule[] = [];
  for (const service of services) {
    for (const rule of service.watch) {
      const because = whyUseless(service, rule);
      if (because !== undefined) useless.push({ service: service.name, path: rule.path, because });
      else
        rules.push({
          service: service.name,
          rule,
          accepts: pathFilter({ ignore: rule.ignore, include: rule.include, ignoreFile: readIgnoreFile(rule.path) }),
        });
    }
  }
  return { rules, useless };
}

function whyUseless(service: Service, rule: WatchRule): string | undefined {
  if (rule.action === 'rebuild') return 'images are not built yet';
  if (!isSync(rule)) return undefined;
  if (rule.target === undefined) return 'it has no target';
  const covering = service.mounts.find((mount) => mount.type === 'bind' && isWithin(rule.target as string, mount.target));
  return covering === undefined ? undefined : `a bind mount covers ${covering.target} already`;
}

export function isSync({ action }: WatchRule): boolean {
  return action === 'sync' || action === 'sync+restart' || action === 'sync+exec';
}

/** Every rule that the path meets, in the order of the file; the same path may concern several services. */
export function matchRules(rules: readonly ReadyRule[], path: string): WatchAction[] {
  return rules
    .filter(({ rule, accepts }) => isWithin(path, rule.path) && accepts(posix.relative(rule.path, path)))
    .map(({ service, rule }) => ({
      service,
      rule,
      hostPath: path,
      ...(isSync(rule) && rule.target !== undefined && { target: targetOf(rule, rule.target, path) }),
    }));
}

/** The folder's content goes into the target; a rule on a single file names the file's new name, or ends in "/" for a folder. */
function targetOf(rule: WatchRule, target: string, path: string): string {
  const below = posix.relative(rule.path, path);
  if (below !== '') return posix.join(target, below);
  return target.endsWith('/') ? posix.join(target, posix.basename(path)) : target;
}

export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}
