/**
 * How many times longer than on an idle machine a test waits before it gives up: TSCOMPOSE_TEST_PATIENCE=20 in an emulated machine.
 * Only bounds are multiplied by it: what a test waits for is a condition, and comes as soon as it can.
 */
export const patience = Math.max(1, Number(process.env['TSCOMPOSE_TEST_PATIENCE'] ?? 1) || 1);
