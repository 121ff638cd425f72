import type { Architecture } from './syscalls.ts';
import type { OciSeccomp, OciSeccompArgument, OciSeccompRule } from './spec.ts';

/**
 * docker's default system call filter as data: what is allowed always, what with a capability, what with certain arguments.
 * Follows moby/profiles seccomp/default.json as of 2026-05 (AF_ALG and AF_VSOCK closed, io_uring closed). Names of other
 * processors are left out. Tighter than docker in one thing: 32-bit programs get no system calls (see seccomp.ts).
 */
export function defaultSeccompProfile(capabilities: readonly string[], architecture: Architecture): OciSeccomp {
  const key = [architecture, ...capabilities].join(' ');
  const profile = profiles.get(key) ?? makeProfile(capabilities, architecture);
  if (profiles.size >= keptProfiles) profiles.clear();
  profiles.set(key, profile);
  return profile;
}

/** Fifty services usually have one and the same. */
const profiles = new Map<string, OciSeccomp>();
const keptProfiles = 64;

function makeProfile(capabilities: readonly string[], architecture: Architecture): OciSeccomp {
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: [architecture === 'x64' ? 'SCMP_ARCH_X86_64' : 'SCMP_ARCH_AARCH64'],
    syscalls: [
      allow([...words(always), ...words(onlyOn[architecture])]),
      ...socketConditions.map((condition) => allow(['socket'], condition)),
      ...personalityRules(),
      ...capabilityRules(capabilities),
      ...cloneRules(capabilities),
    ],
  };
}

const EPERM = 1;
const ENOSYS = 38;

const always = `
  accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown clock_adjtime clock_getres
  clock_gettime clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1
  epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group
  faccessat faccessat2 fadvise64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync
  fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs fsync ftruncate futex futex_requeue futex_wait
  futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid geteuid getgid
  getgroups getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit getrusage
  getsid getsockname getsockopt gettid gettimeofday getuid getxattr getxattrat inotify_add_watch inotify_init inotify_init1
  inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit ioctl ioprio_get ioprio_set kill
  landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lgetxattr link linkat listen listmount listxattr
  listxattrat llistxattr lremovexattr lseek lsetxattr lstat madvise map_shadow_stack membarrier memfd_create memfd_secret
  mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
  mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep
  newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll
  prctl pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 ptrace pwrite64 pwritev
  pwritev2 read readahead readlink readlinkat readv recvfrom recvmmsg recvmsg remap_file_pages removexattr removexattrat
  rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
  rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity
  sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam
  sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop sendfile sendmmsg sendmsg sendto
  set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid
  setresgid setresuid setreuid setrlimit setsid setsockopt setuid setxattr setxattrat shmat shmctl shmdt shmget shutdown
  sigaltstack signalfd signalfd4 socketpair splice stat statfs statmount statx symlink symlinkat sync sync_file_range syncfs
  sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
  timerfd_gettime timerfd_settime times tkill truncate umask uname unlink unlinkat uretprobe utime utimensat utimes vfork
  vmsplice wait4 waitid write writev`;

const onlyOn: Readonly<Record<Architecture, string>> = { x64: 'arch_prctl modify_ldt', arm64: '' };

const byCapability: ReadonlyArray<readonly [capability: string, syscalls: string]> = [
  ['CAP_DAC_READ_SEARCH', 'open_by_handle_at'],
  [
    'CAP_SYS_ADMIN',
    `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
     lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
     sethostname setns syslog umount2 unshare`,
  ],
  ['CAP_SYS_BOOT', 'reboot'],
  ['CAP_SYS_CHROOT', 'chroot'],
  ['CAP_SYS_MODULE', 'delete_module init_module finit_module'],
  ['CAP_SYS_PACCT', 'acct'],
  ['CAP_SYS_PTRACE', 'kcmp pidfd_getfd process_madvise'],
  ['CAP_SYS_RAWIO', 'iopl ioperm'],
  ['CAP_SYS_TIME', 'settimeofday clock_settime'],
  ['CAP_SYS_TTY_CONFIG', 'vhangup'],
  ['CAP_SYS_NICE', 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node'],
  ['CAP_SYSLOG', 'syslog'],
  ['CAP_BPF', 'bpf'],
  ['CAP_PERFMON', 'perf_event_open'],
];

/**
 * Address families that may be opened: all that Linux still has but AF_ALG 38, the kernel's crypto, and AF_VSOCK 40, the way
 * to the
 * hypervisor. By name and never as "above 40": the filter sees 64 bits of which the kernel takes 32, so that 2^32 + 38 is
 * AF_ALG.
 */
const familiesBelow = 12;
const families = [13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45];

const socketConditions: readonly OciSeccompArgument[] = [
  argument(0, 'SCMP_CMP_LT', familiesBelow),
  ...families.map((family) => argument(0, 'SCMP_CMP_EQ', family)),
];

/** PER_LINUX, PER_LINUX32, both with UNAME26, and the question for the current one: personality(2). */
const personalities = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

/** CLONE_NEWNS|NEWCGROUP|NEWUTS|NEWIPC|NEWUSER|NEWPID|NEWNET: clone(2). */
const cloneNamespaces = 0x7e020000;

function personalityRules(): readonly OciSeccompRule[] {
  return personalities.map((value) => allow(['personality'], argument(0, 'SCMP_CMP_EQ', value)));
}

function capabilityRules(capabilities: readonly string[]): readonly OciSeccompRule[] {
  return byCapability.filter(([name]) => capabilities.includes(name)).map(([, syscalls]) => allow(words(syscalls)));
}

/** clone3's flags are behind a pointer, where no filter can look: ENOSYS makes the C library take clone. */
function cloneRules(capabilities: readonly string[]): readonly OciSeccompRule[] {
  if (capabilities.includes('CAP_SYS_ADMIN')) return [];
  return [
    allow(['clone'], { index: 0, op: 'SCMP_CMP_MASKED_EQ', value: cloneNamespaces, valueTwo: 0 }),
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
  ];
}

function allow(names: readonly string[], condition?: OciSeccompArgument): OciSeccompRule {
  return { names, action: 'SCMP_ACT_ALLOW', ...(condition ? { args: [condition] } : {}) };
}

function argument(index: number, op: OciSeccompArgument['op'], value: number): OciSeccompArgument {
  return { index, op, value };
}

function words(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
