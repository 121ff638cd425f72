/*
 * One shim per container: its parent, the keeper of its network namespace, its output and its exit status. It decides nothing but
 * what its restart policy says, and waits for nobody above it. shim_life.c is the life of the container, shim_stdio.c its streams,
 * shim_clients.c who is connected, shim_revive.c how a lost supervisor comes back.
 */
#ifndef TSCOMPOSE_SHIM_H
#define TSCOMPOSE_SHIM_H

#include "frames.h"
#include "launch.h"
#include "log.h"
#include "loop.h"
#include "restart.h"
#include "status.h"

#define CLIENTS_MOST 16
#define PENDING_MOST 64

/* SHIM_FIELDS of the protocol, decoded. */
struct shim_fields {
    char *directory;
    char *log;
    uint64_t rotate_bytes;
    uint32_t keep;
    uint32_t network;
    char *namespace_path;
    uint32_t policy;
    uint32_t most_restarts;
    uint32_t flags;
    uint32_t stop_signal;
    uint64_t grace_ms;
    char **cgroups;
    char **reviver;
    void *program; /* malloc'ed, so aligned */
    uint32_t program_length;
};

enum phase {
    PHASE_IDLE,      /* nothing was run yet */
    PHASE_LAUNCHING, /* the launch program runs */
    PHASE_READY,     /* waits at the gate */
    PHASE_RELEASED,  /* between the gate and execve */
    PHASE_RUNNING,
    PHASE_DRAINING,  /* dead; its last output is read */
    PHASE_WAITING,   /* dead, to be restarted */
    PHASE_OVER,      /* dead for good; replies are on their way */
};

struct shim;

struct client {
    struct shim *shim;
    struct watch watch;
    struct channel channel;
    bool used;
    bool gone;       /* its descriptor is closed, its memory is still in use by the caller */
    bool told;       /* gets SHIM_STATUS */
    bool supervisor;
    bool attached;
    bool owner;      /* of stdin; its slowness holds the container's output back, as docker's attach does */
};

/* A request whose reply comes later. */
struct pending {
    struct client *client; /* NULL: free */
    uint32_t id;
    uint16_t type;
};

/* One of the container's output streams. */
struct stream {
    struct shim *shim;
    struct watch watch;
    int fd; /* -1: ended */
    uint32_t number;
    bool held;
};

struct shim {
    struct loop loop;
    struct shim_fields fields;
    struct program program;
    bool has_gate;
    bool has_oom_score;
    char oom_score[16]; /* what the shim had before it protected itself, for its children */
    int claim;        /* the run folder, locked: a container has one shim at a time */
    int host_network; /* the host's network namespace, -1 when the shim is in it */
    enum phase phase;
    struct status status;
    struct restart restart;
    uint64_t oom_kills;
    uint64_t ran_since; /* clock_ms() of the start */
    uint64_t ran_ms;    /* the last run; 0 when it was never executed */

    struct launched launched;
    struct watch sync_watch;
    struct watch pidfd_watch;
    bool start_wanted;
    bool was_attached;
    bool stopping;
    bool paused;
    struct timer kill_timer;
    struct timer drain_timer;
    struct timer restart_timer;

    struct stream streams[2];
    struct log log;
    struct timer log_timer;
    struct watch stdin_watch; /* watched only while stdin_queue waits */
    int stdin_fd;
    struct buffer stdin_queue;
    bool stdin_ending;
    bool has_terminal;
    uint16_t rows, columns;

    struct watch listener;
    struct client clients[CLIENTS_MOST];
    struct pending pending[PENDING_MOST];
    struct timer leave_timer;
    struct timer revive_timer;
    struct timer abandon_timer;
};

/* In a job of serve, with nothing open but stdio and `report`: becomes the shim. Writes a struct report once it listens, or failed. */
void shim_main(struct shim_fields *fields, int report) __attribute__((noreturn));

/* shim_life.c */
void shim_prepare(struct shim *shim);
void shim_start(struct shim *shim);
void shim_release_if_wanted(struct shim *shim);
void shim_stop(struct shim *shim, uint32_t signal, uint64_t grace_ms);
void shim_quit(struct shim *shim);
int shim_signal(struct shim *shim, uint32_t signal, struct error *error);
int shim_pause(struct shim *shim, bool pause, struct error *error);
/* The streams ended, or the time for that is over. */
void shim_drained(struct shim *shim);
/* The end of the shim: cgroups, status, replies. */
void shim_finish(struct shim *shim);
/* Writes the status file and tells the clients. */
void shim_publish(struct shim *shim, const char *state);
/* The container's program was never executed. */
bool shim_never_started(const struct shim *shim);

/* shim_stdio.c */
void stdio_init(struct shim *shim);
/* Makes the pipes; the child's ends are in `io`. */
int stdio_open(struct shim *shim, struct launch_io *io, struct error *error);
void stdio_close_io(struct launch_io *io);
void stdio_watch(struct shim *shim);
void stdio_set_terminal(struct shim *shim, int master);
void stdio_resize(struct shim *shim, uint32_t rows, uint32_t columns);
void stdio_input(struct shim *shim, const unsigned char *bytes, uint32_t length);
/* A client took from its queue, or went: streams that were held back go on. */
void stdio_unhold(struct shim *shim);
bool stdio_held(const struct shim *shim);
bool stdio_ended(const struct shim *shim);
/* Reads once more what is there, finishes the log's lines, closes everything. */
void stdio_close(struct shim *shim);

/* shim_clients.c */
int clients_listen(struct shim *shim, struct error *error);
void clients_unlisten(struct shim *shim);
void clients_tell_status(struct shim *shim, const char *text, size_t length);
void clients_output(struct shim *shim, uint32_t stream, const unsigned char *bytes, size_t length);
/* Answers every pending request of a type; with an error when `error` is not NULL. */
void clients_reply(struct shim *shim, uint16_t type, const struct error *error);
/* Whether an owner of stdin has more waiting than it should. */
bool clients_owner_behind(const struct shim *shim);
/* Reads from owners again after stdin took something. */
void clients_resume_input(struct shim *shim);
bool clients_have_supervisor(const struct shim *shim);
bool clients_any(const struct shim *shim);
/* Ends the loop as soon as every reply is sent, or nobody takes it. */
void clients_leave(struct shim *shim);

/* shim_revive.c */
void revive_init(struct shim *shim);
void revive_supervisor_lost(struct shim *shim);
void revive_supervisor_found(struct shim *shim);

#endif
