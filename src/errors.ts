/**
 * Everything that can go wrong, in one registry. A user meets only TscomposeError: a stable code, one line, the place, and
 * a hint that says what to do. `docs/errors.md` lists the same codes; a test keeps the two equal.
 */

/** A place in a text file; line and column count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** How many characters from `column` on are meant; default 1. */
  readonly length?: number;
}

/**
 * The registry: code → exit status. Exit statuses follow docker compose: 1 for any failure of ours, 125 where a container
 * could not be made, 126 and 127 where its program could not be executed or found, 130 after Ctrl-C.
 */
export const errorCodes = {
  // The machine tscompose runs on
  NOT_LINUX: 1,
  NODE_TOO_OLD: 1,
  NOT_ROOT: 1,
  KERNEL_TOO_OLD: 1,
  NATIVE_MISSING: 1,
  // The command line
  USAGE: 1,
  INTERRUPTED: 130,
  // The compose file
  FILE_NOT_FOUND: 1,
  FILE_UNREADABLE: 1,
  YAML_SYNTAX: 1,
  FILE_INVALID: 1,
  FILE_TOO_LARGE: 1,
  UNKNOWN_ATTRIBUTE: 1,
  UNSUPPORTED_ATTRIBUTE: 1,
  VARIABLE_MISSING: 1,
  TEMPLATE_INVALID: 1,
  REFERENCE_UNDEFINED: 1,
  DEPENDENCY_CYCLE: 1,
  CONFLICT: 1,
  NAME_INVALID: 1,
  VALUE_INVALID: 1,
  // Names the user gave
  NO_SUCH_SERVICE: 1,
  NO_SUCH_CONTAINER: 1,
  NOT_RUNNING: 1,
  // Images, mounts, networks
  IMAGE_UNSUPPORTED: 1,
  IMAGE_MISSING: 1,
  BIND_SOURCE_MISSING: 1,
  EXTERNAL_MISSING: 1,
  PORT_TAKEN: 1,
  SUBNET_TAKEN: 1,
  ADDRESSES_EXHAUSTED: 1,
  ADDRESS_TAKEN: 1,
  NETWORK_FAILED: 1,
  // Containers
  LAUNCH_FAILED: 125,
  COMMAND_NOT_EXECUTABLE: 126,
  COMMAND_NOT_FOUND: 127,
  DEPENDENCY_FAILED: 1,
  WAIT_TIMEOUT: 1,
  CONTAINER_EXITED: 1,
  // Inside
  SUPERVISOR_UNREACHABLE: 1,
  SUPERVISOR_FAILED: 1,
  CORE_FAILED: 1,
  STATE_UNWRITABLE: 1,
} as const satisfies Readonly<Record<string, number>>;

export type ErrorCode = keyof typeof errorCodes;

/** What an error may carry beside its code and message. */
export interface ErrorDetails {
  readonly at?: Position;
  readonly service?: string;
  readonly path?: string;
  /** An action: what the user can do next. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** The text of the line `at` points to, so that a reader without the file can draw the frame. */
  readonly sourceLine?: string;
}

/** The one error a user meets. */
export class TscomposeError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'TscomposeError';
    this.code = code;
    this.details = details;
  }

  get exitCode(): number {
    return errorCodes[this.code];
  }
}

/** The form in which an error crosses the control socket. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: Omit<ErrorDetails, 'cause'>;
}

export function toErrorRecord(error: unknown): ErrorRecord {
  if (error instanceof TscomposeError) {
    const { cause: _cause, ...details } = error.details;
    return { code: error.code, message: error.message, details };
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'SUPERVISOR_FAILED', message: text, details: {} };
}

export function fromErrorRecord(record: ErrorRecord): TscomposeError {
  return new TscomposeError(record.code, record.message, record.details);
}

/** Whether a thrown value is a system error with one of these codes ("ENOENT", …). */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}
