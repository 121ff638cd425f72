import type { SerializedError } from 'vitest';
import type { TestCase, TestModule, TestRunEndReason } from 'vitest/node';
import { DefaultReporter } from 'vitest/node';

/** Vitest's own report and then, as the last line, `N passed, N failed, N skipped`. */
export default class ClosingLineReporter extends DefaultReporter {
  override onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[], reason: TestRunEndReason): void {
    super.onTestRunEnd(modules, errors, reason);
    const { passed, failed, skipped } = count(modules, errors.length);
    process.once('exit', () => process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`));
  }
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** A file that does not load, a hook that fails and an error outside of any test count as a failed test each. */
function count(modules: readonly TestModule[], errorsOutside: number): Counts {
  const counts: Counts = { passed: 0, failed: errorsOutside, skipped: 0 };
  for (const module of modules) {
    const tests = [...module.children.allTests()];
    for (const test of tests) countOne(counts, test);
    if (module.state() === 'failed' && !tests.some((test) => test.result().state === 'failed')) counts.failed++;
  }
  return counts;
}

function countOne(counts: Counts, test: TestCase): void {
  const state = test.result().state;
  if (state === 'passed') counts.passed++;
  else if (state === 'failed') counts.failed++;
  else counts.skipped++;
}
