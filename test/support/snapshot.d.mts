/** Kind ("links", "mounts", "nftTables" …) → sorted entries. */
export type Snapshot = Readonly<Record<string, readonly string[]>>;
export function takeSnapshot(): Snapshot;
/** "+ links: NAME" for what came, "- mounts: PATH" for what went. */
export function differences(before: Snapshot, after: Snapshot): string[];
