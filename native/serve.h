/*
 * The supervisor's hands: one loop that reads requests from descriptor 3 and never waits for anything else. What may take long is
 * done by a forked job; what lives on is a shim. When the supervisor's end closes, serve goes.
 */
#ifndef TSCOMPOSE_SERVE_H
#define TSCOMPOSE_SERVE_H

#include "error.h"
#include "frames.h"
#include "loop.h"

#include <sys/types.h>

#define SERVE_FD 3

struct exec;
struct lock;
struct dns;

struct serve {
    struct loop loop;
    struct channel channel;
    struct watch channel_watch;
    struct watch child_watch; /* SIGCHLD */
    bool reading;             /* replies are sent together, after the requests that were read together */
    int host_network;
    int netlink_sockets[2];   /* the host's, by protocol, once used */
    struct exec *execs;
    uint32_t last_exec;
    struct lock *locks;
    struct dns *dns;
};

/* Replies; each may be called at any time after its request. */
void serve_ok(struct serve *serve, uint32_t id, uint16_t type);
void serve_value(struct serve *serve, uint32_t id, uint16_t type, uint32_t value);
void serve_error(struct serve *serve, uint32_t id, const struct error *error);
/* Sends what is in channel.out, as far as it goes; call it after writing a frame there. */
void serve_flush(struct serve *serve);

/* jobs.c: work in a forked process that keeps only its standard descriptors, and `kept` as descriptor 4 (-1: none).
 * `done` gets its value, or its error (number != 0). In the job, descriptor 3 is where the result goes. */
typedef int job_work(void *input, uint32_t *value, struct error *error);
typedef void job_done(struct serve *serve, uint32_t id, uint16_t type, void *context, uint32_t value, const struct error *error);
struct job_request {
    uint32_t id;
    uint16_t type;
    job_work *work;
    void *input;
    int kept;
    job_done *done;  /* NULL: replies with nothing, or with the error */
    void *context;   /* for done */
};
#define JOB_REPORT_FD 3
#define JOB_KEPT_FD 4
void job_start(struct serve *serve, const struct job_request *request);
/* What a job's child does first: the SIGCHLD mask of serve is lifted, descriptors are arranged. */
void job_arrange(int report, int kept);

/* The requests, each in its own file. A malformed payload is answered by serve.c: they return -1 with an error, or 0 when a reply
 * is given or will be. */
int request_netlink(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error);
int request_spawn_shim(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error);
int request_exec(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error);
int request_sync(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error);
int request_dns_open(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error);
int request_dns_close(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error);
int request_dns_answer(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error);
int request_lock(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error);
int request_unlock(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error);
int request_remove_cgroups(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error);
int request_remove_tree(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error);

/* execs.c */
void exec_child_ended(struct serve *serve, pid_t pid, int wait_status);

/* netlink.c: into a network namespace ("" is the host's) and back; going back never fails, or the process ends. */
int network_enter(struct serve *serve, const char *path, struct error *error);
void network_leave(struct serve *serve, const char *path);

/* -1 with EPROTO. */
int malformed(struct error *error);

#endif
