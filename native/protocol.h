/*
 * The joint between TypeScript and C: frames on sockets, and the launch program. Its twin is src/core/protocol.ts; a shared
 * vector file (test/vectors/protocol.json) tests both. All integers are little-endian. Whoever changes a number here
 * changes it there, and raises PROTOCOL_VERSION.
 */
#ifndef TSCOMPOSE_PROTOCOL_H
#define TSCOMPOSE_PROTOCOL_H

#include <stdint.h>

#define PROTOCOL_VERSION 1u

/* ------------------------------------------------------------------ frames
 * On serve's socketpair and on every shim's socket: a header, then `length` bytes of payload.
 * A payload is a sequence of fields in the order given: u32, u64, or bytes (u32 count, then the bytes; text is UTF-8 without NUL).
 * A "block" is bytes holding NUL-terminated strings one after another (an argv).
 * `id` pairs a reply with its request; events have id 0. A reply has the request's type with FRAME_REPLY set, or is
 * FRAME_ERROR: u32 errno, bytes text.
 */
struct frame_header {
    uint32_t length; /* of the payload; at most FRAME_MAX */
    uint32_t id;
    uint16_t type;
    uint16_t flags; /* 0 */
};
#define FRAME_MAX (16u * 1024 * 1024)
#define FRAME_REPLY 0x8000u
#define FRAME_ERROR 0xffffu

/* Requests to `core serve`. */
enum serve_request {
    /* u32 version → u32 version, u32 pid */
    SERVE_HELLO = 1,
    /* bytes netns path ("" is the host's), u32 netlink protocol (0 route, 12 netfilter), bytes batch of netlink messages
     * → bytes: every message the kernel answered with, in order. Errors inside are the caller's to read. */
    SERVE_NETLINK = 2,
    /* see struct of fields below: SHIM_FIELDS → u32 pid of the shim, once its socket listens and its namespaces exist */
    SERVE_SPAWN_SHIM = 3,
    /* bytes launch program (starts with JOIN), u64 timeout in ms (0: none), u32 output limit in bytes
     * → u32 exec id, at once; then one event SERVE_EXEC_EXITED */
    SERVE_EXEC = 4,
    /* u32 pid of init, u64 its start time, bytes operations: see SYNC_* → u32 operations done */
    SERVE_SYNC = 5,
    /* bytes netns path, bytes token, bytes IPv4 address (dotted), u32 port → nothing; then events SERVE_DNS_QUERY */
    SERVE_DNS_OPEN = 6,
    /* bytes token → nothing */
    SERVE_DNS_CLOSE = 7,
    /* bytes peer (opaque, from the query), bytes message → no reply */
    SERVE_DNS_ANSWER = 8,
    /* bytes path of the lock file → nothing, once flock(2) is held; waits without blocking other requests */
    SERVE_LOCK = 9,
    /* bytes path → nothing */
    SERVE_UNLOCK = 10,
    /* bytes cgroup directories (block) → nothing: kills everything inside each, then removes it with its children */
    SERVE_REMOVE_CGROUPS = 11,
    /* bytes path → nothing: unmounts what is mounted at or below it, then removes the tree without following links or crossing mounts */
    SERVE_REMOVE_TREE = 12,
};

enum serve_event {
    /* u32 exec id, u32 exit code (128+n by signal), u32 timed out (0 or 1), bytes output */
    SERVE_EXEC_EXITED = 100,
    /* bytes token, bytes peer, bytes message (without TCP's length prefix) */
    SERVE_DNS_QUERY = 101,
};

/* SHIM_FIELDS, in this order:
 *  bytes  directory: the container's run folder; the shim makes `shim.sock` and `status` in it
 *  bytes  log file (absolute); "" for none
 *  u64    rotate the log when it would grow past this many bytes; 0: never
 *  u32    how many log files to keep, the current one included
 *  u32    network: 0 the host's, 1 a new namespace, 2 join the path below
 *  bytes  path of the network namespace to join ("/proc/123/ns/net")
 *  u32    restart policy: 0 no, 1 always, 2 on-failure, 3 unless-stopped
 *  u32    on-failure: most restarts; 0 without bound
 *  u32    SHIM_TTY | SHIM_STDIN_OPEN | SHIM_WAIT_ATTACH
 *  u32    stop signal
 *  u64    grace in ms
 *  block  cgroup directories to kill through and to remove at the end, innermost hierarchy order free
 *  block  argv that brings a lost supervisor back (`core supervise LOCK -- node …`); empty: none
 *  bytes  launch program
 */
#define SHIM_TTY 1u
#define SHIM_STDIN_OPEN 2u
/* Release the gate only after the first ATTACH, so that no output is missed (`run`). */
#define SHIM_WAIT_ATTACH 4u

/* Requests to a shim, on shim.sock. Several clients may be connected. */
enum shim_request {
    /* u32 1: this client is the supervisor; its loss makes the shim bring one back. → as SHIM_STATUS */
    SHIM_HELLO = 1,
    /* Runs the launch program up to the gate. → nothing, or FRAME_ERROR with text "OP INDEX ERRNO words" */
    SHIM_PREPARE = 2,
    /* Opens the gate (PREPARE first when that was not asked). → nothing once execve succeeded, else FRAME_ERROR as above */
    SHIM_START = 3,
    /* u32 signal → nothing. Does not touch the restart policy */
    SHIM_SIGNAL = 4,
    /* u32 signal (0: the configured one), u64 grace ms (~0: the configured one) → nothing, once it is dead.
     * Cancels restarts. A second STOP shortens the first. */
    SHIM_STOP = 5,
    /* u32 policy, u32 most restarts → nothing */
    SHIM_POLICY = 6,
    /* u32 1: send output as events SHIM_OUTPUT from now on, 2: and this client owns stdin → nothing */
    SHIM_ATTACH = 7,
    /* bytes for the container's stdin; zero bytes close it. No reply */
    SHIM_STDIN = 8,
    /* u32 rows, u32 columns. No reply */
    SHIM_RESIZE = 9,
    /* u32 1 freeze, 0 thaw → nothing */
    SHIM_PAUSE = 10,
    /* → nothing; kills what is left, removes the cgroups, ends the shim */
    SHIM_QUIT = 11,
};

enum shim_event {
    /* bytes: the text of the status file. Sent on every change to clients that said HELLO */
    SHIM_STATUS = 100,
    /* u32 stream (1 out, 2 err), bytes */
    SHIM_OUTPUT = 101,
};

/* The status file (and SHIM_STATUS): one "key=value" a line, written whole by rename on every change.
 *  state=created|running|paused|restarting|exited   shim=PID   pid=PID of init or 0   starttime=field 22 of /proc/PID/stat
 *  boot=boot id   started=ms since the epoch or 0   finished=ms or 0   exit=code or -1   oom=0|1   restarts=N
 *  stopped=0|1 (by request)   next=ms until the next restart or 0   error=words or empty
 * After the last end the shim writes state=exited and goes; the file stays.
 */

/* SYNC operations, one after another in SERVE_SYNC's bytes, applied inside the container's root, no symlink followed out of it:
 *  u32 SYNC_WRITE   bytes path, u32 mode, u32 uid, u32 gid, bytes content   (parents are made; replaces by rename)
 *  u32 SYNC_MKDIR   bytes path, u32 mode, u32 uid, u32 gid
 *  u32 SYNC_SYMLINK bytes path, bytes target
 *  u32 SYNC_REMOVE  bytes path   (a tree as well; absent is fine)
 */
enum sync_op { SYNC_WRITE = 1, SYNC_MKDIR = 2, SYNC_SYMLINK = 3, SYNC_REMOVE = 4 };

/* ---------------------------------------------------------- launch program
 * header, `count` records, data area. Offsets count from the start of the blob. A reference of 0 is absent; otherwise it
 * points at u32 length, the bytes, one NUL. The reader checks every offset once, before anything runs.
 * Records run in order. Before CLONE they run in the launcher; after CLONE those with OP_PARENT run in the launcher while the
 * child waits, all others in the child. "in root" paths are resolved below the root descriptor with openat2 RESOLVE_IN_ROOT.
 */
#define PROGRAM_MAGIC 0x4c435354u /* "TSCL" */
struct program_header {
    uint32_t magic;
    uint32_t version;
    uint32_t total; /* bytes of the whole blob */
    uint32_t count; /* of records */
    uint32_t records; /* offset, 8-byte aligned */
    uint32_t data; /* offset of the data area */
    uint32_t reserved[2];
};
struct program_record { /* 48 bytes */
    uint16_t op;
    uint16_t flags;
    uint32_t reserved;
    uint32_t a, b, c, d; /* references */
    uint64_t x, y, z;
};
#define OP_PARENT 1u /* after CLONE: run by the launcher */
#define OP_OPTIONAL 2u /* failure is no failure */
#define OP_MAKE_DIR 4u /* the target is made as a directory when missing (parents too) */
#define OP_MAKE_FILE 8u /* the target is made as an empty file when missing (parents too) */
#define OP_RECURSIVE 16u
#define OP_IN_ROOT 32u /* the source, too, is a path in the root */
#define OP_NO_FOLLOW 64u

enum op {
    /* launcher */
    OP_CGROUP_CREATE = 1, /* a: absolute directory; x 1: v1 cpuset, copy cpus and mems from the parent */
    OP_CGROUP_WRITE = 2, /* a: file, b: value */
    OP_CGROUP_ATTACH = 3, /* a: directory. Before CLONE: the launcher itself; with OP_PARENT: the child */
    OP_CGROUP_DEVICES = 4, /* v2. a: directory, b: eBPF instructions of a BPF_CGROUP_DEVICE program */
    OP_JOIN = 5, /* x: pid, y: its start time, z: CLONE_NEW* to join by its pidfd; then root and cwd are that mount namespace's */
    OP_CLONE = 6, /* x: CLONE_NEW* flags; a: cgroup v2 directory for CLONE_INTO_CGROUP or absent */
    OP_PRLIMIT = 7, /* x: resource, y: soft, z: hard (~0 infinity); OP_PARENT */
    OP_OOM_SCORE = 8, /* x: value as int64; OP_PARENT */
    OP_ID_MAPS = 9, /* a: uid_map, b: gid_map; x 1: write "deny" to setgroups first; OP_PARENT */
    OP_SYSTEMD_SCOPE = 10, /* reserved */

    /* child: namespaces and names */
    OP_SETNS = 20, /* a: path, x: its type */
    OP_UNSHARE = 21, /* x: CLONE_NEW* */
    OP_HOSTNAME = 22, /* a */
    OP_DOMAINNAME = 23, /* a */
    OP_LOOPBACK_UP = 24,
    OP_KEYRING = 25, /* a: name of the new session keyring */

    /* child: the root */
    OP_ROOT_PROPAGATION = 30, /* x: MS_SLAVE|MS_REC or so, applied to / of the new mount namespace */
    OP_ROOTFS = 31, /* a: host directory to mount at; b: overlay options ("lowerdir=…,upperdir=…,workdir=…") or absent: a bound on itself.
                       From here on there is a root descriptor */
    OP_MOUNT = 32, /* a: source, b: target in root, c: type, d: data; x: MS_* flags, y: MOUNT_ATTR_* set recursively, z: MS_ propagation or 0 */
    OP_BIND = 33, /* a: source, b: target in root; x: MS_* flags put by a remount that keeps locked ones, y and z as above; OP_RECURSIVE: rbind */
    OP_MKDIR = 34, /* b: in root; x: mode, y: uid, z: gid; existing is fine */
    OP_SYMLINK = 35, /* a: text, b: in root; existing is fine */
    OP_MKNOD = 36, /* b: in root; x: S_IF* and mode, y: major << 32 | minor, z: uid << 32 | gid */
    OP_WRITE_FILE = 37, /* a: content, b: in root; x: mode, y: uid, z: gid; parents are made */
    OP_PIVOT = 38, /* pivot_root(".", "."); the root descriptor becomes "/" */
    OP_CONSOLE = 39, /* a terminal from the container's own devpts; master to the parent, slave is stdio and /dev/console; x: rows, y: columns */
    OP_REMOUNT = 40, /* b: in root; x: MS_* flags, locked ones kept */
    OP_MASK = 41, /* b: in root; absent is fine */
    OP_READONLY_PATH = 42, /* b: in root; absent is fine */
    OP_SYSCTL = 43, /* a: "net/ipv4/ip_forward", b: value; through a private procfs */
    OP_COPY_UP = 44, /* reserved: tmpcopyup */

    /* child: the process */
    OP_UMASK = 60, /* x */
    OP_WORKDIR = 61, /* b: in root; OP_MAKE_DIR; checked again after USER */
    OP_NO_NEW_PRIVS = 62,
    OP_BOUNDING = 63, /* x: capability mask that stays */
    OP_USER = 64, /* x: uid, y: gid, a: u32 gids; keeps capabilities for OP_CAPABILITIES */
    OP_CAPABILITIES = 65, /* x: effective, y: permitted, z: inheritable */
    OP_AMBIENT = 66, /* x */
    OP_SECCOMP = 67, /* a: struct sock_filter[]; x: SECCOMP_FILTER_FLAG_* */
    OP_GATE = 68, /* tell the parent "ready", wait for its word */
    OP_INIT = 69, /* stay as PID 1 that reaps and forwards signals; the rest runs in a forked child */
    OP_EXEC = 70, /* a: argv block, b: env block; PATH look-up with the env's PATH; exit 127 or 126 as a shell would */
    OP_PERSONALITY = 71, /* x */
    OP_SETSID = 72,
    OP_SCHEDULER = 73, /* reserved */
    OP_IOPRIO = 74, /* reserved */
    OP_PDEATHSIG = 75, /* x: signal */
};

#endif
