/* The log file. The full disk is a small tmpfs in a mount namespace of this process's own. */
#include "log.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/core-log-XXXXXX";
static struct log the_log;

static void path_of(const char *name, char *path)
{
    snprintf(path, 256, "%s/%s", folder, name);
}

static bool open_log(const char *name, uint64_t rotate_bytes, uint32_t keep)
{
    struct error error = {.op_index = -1};
    char path[256];

    path_of(name, path);
    if (!log_open(&the_log, path, rotate_bytes, keep, &error))
        return true;
    note("%s", error.text);
    return false;
}

/* Reads a file and takes off times: "stdout F text" a line. */
static char *read_log(const char *name)
{
    static char text[1 << 20];
    char path[256];
    char line[65536];
    size_t length = 0;
    FILE *file;

    path_of(name, path);
    file = fopen(path, "re");
    text[0] = '\0';
    while (file && fgets(line, sizeof(line), file)) {
        const char *rest = strlen(line) > 31 && line[30] == ' ' ? line + 31 : line;

        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s", rest);
    }
    if (file)
        fclose(file);
    return text;
}

static void say(enum log_stream stream, const char *text)
{
    log_write(&the_log, stream, (const unsigned char *)text, strlen(text));
}

static void check_lines(void)
{
    ok(open_log("lines", 0, 3), "opened");
    say(LOG_STDOUT, "one\ntw");
    say(LOG_STDERR, "bad\n");
    say(LOG_STDOUT, "o\n\nlast");
    ok(!strcmp(read_log("lines"), "stdout F one\nstderr F bad\nstdout F two\nstdout F \n"), "whole lines are there, streams do not mix");
    log_finish(&the_log);
    log_close(&the_log);
    ok(strstr(read_log("lines"), "stdout F last\n"), "the end writes what is unfinished");
}

static void check_pieces(void)
{
    static unsigned char bytes[2 * LOG_PIECE + 2];
    const char *text;

    memset(bytes, 'x', sizeof(bytes));
    bytes[LOG_PIECE] = '\n';
    ok(open_log("pieces", 0, 3), "opened");
    log_write(&the_log, LOG_STDOUT, bytes, LOG_PIECE + 1);
    text = read_log("pieces");
    ok(!strncmp(text, "stdout F x", 10) && strlen(text) == 9 + LOG_PIECE + 1, "a line of exactly one piece is whole");
    bytes[LOG_PIECE] = 'x';
    bytes[sizeof(bytes) - 1] = '\n';
    log_write(&the_log, LOG_STDOUT, bytes, sizeof(bytes));
    log_close(&the_log);
    text = strchr(read_log("pieces"), '\n') + 1;
    ok(!strncmp(text, "stdout P", 8) && strlen(text) == 3 * 10 + sizeof(bytes) - 1, "a longer one comes in pieces");
    ok(!strcmp(text + strlen(text) - 11, "stdout F x\n"), "of which the last ends the line");
}

static void check_mending(void)
{
    char path[256];
    int file;

    path_of("mended", path);
    file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ok(write(file, "cut off", 7) == 7 && open_log("mended", 0, 3), "opened after a crash");
    close(file);
    say(LOG_STDOUT, "next\n");
    log_close(&the_log);
    ok(!strcmp(read_log("mended"), "cut off\nstdout F next\n"), "a line that was cut off is not glued to the next");
}

static long last_number(const char *text)
{
    const char *at = NULL;

    for (const char *line = text; (line = strstr(line, "line ")); line++)
        at = line;
    return at ? strtol(at + 5, NULL, 10) : -1;
}

static void check_rotation(void)
{
    char line[64];
    struct stat status;
    char path[256];
    long last_of_oldest;

    ok(open_log("rotated", 1000, 3), "opened");
    for (int i = 0; i < 100; i++) {
        snprintf(line, sizeof(line), "line %d\n", i);
        say(LOG_STDOUT, line);
    }
    log_close(&the_log);
    ok(last_number(read_log("rotated")) == 99, "the newest line is in the newest file");
    last_of_oldest = last_number(read_log("rotated.2"));
    snprintf(line, sizeof(line), "stdout F line %ld\n", last_of_oldest + 1);
    ok(!strncmp(read_log("rotated.1"), line, strlen(line)), "the next file begins where the older one ends");
    path_of("rotated.1", path);
    ok(!stat(path, &status) && status.st_size <= 1000, "no file is larger than it may be");
    path_of("rotated.3", path);
    ok(stat(path, &status), "and there are no more of them than asked");
    path_of("rotated.new", path);
    ok(stat(path, &status), "nothing is left beside them");
}

/* linkat(2): EPERM is what a file system without hard links says. */
static bool refuse_hard_links(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_linkat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void check_rotation_without_hard_links(void)
{
    char line[64];
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        if (!refuse_hard_links() || !open_log("renamed", 1000, 3))
            _exit(1);
        for (int i = 0; i < 100; i++) {
            snprintf(line, sizeof(line), "line %d\n", i);
            say(LOG_STDOUT, line);
        }
        log_close(&the_log);
        _exit(0);
    }
    ok(waitpid(pid, &status, 0) == pid && status == 0, "written where there are no hard links");
    ok(last_number(read_log("renamed")) == 99, "the newest line is in the newest file");
    snprintf(line, sizeof(line), "stdout F line %ld\n", last_number(read_log("renamed.1")) + 1);
    ok(!strncmp(read_log("renamed"), line, strlen(line)), "and no older one is lost");
}

static void check_one_file(void)
{
    char path[256];
    struct stat status;

    ok(open_log("single", 200, 1), "opened");
    for (int i = 0; i < 20; i++)
        say(LOG_STDOUT, "0123456789\n");
    log_close(&the_log);
    path_of("single", path);
    ok(!stat(path, &status) && status.st_size <= 200, "the only file is begun again");
    path_of("single.1", path);
    ok(stat(path, &status), "without an older one");
}

static void check_full_disk(void)
{
    static char ballast[65536];
    char path[256];
    char line[64];
    int file;
    const char *text;

    path_of("small", path);
    if (mkdir(path, 0700) || mount("none", path, "tmpfs", 0, "size=64k")) {
        ok(false, "a small tmpfs");
        return;
    }
    ok(open_log("small/log", 0, 3), "opened");
    say(LOG_STDOUT, "before\n");
    path_of("small/ballast", path);
    file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(file, ballast, sizeof(ballast)) > 0)
        ;
    for (int i = 0; i < 200; i++) {
        snprintf(line, sizeof(line), "lost %d, and some more text to fill the page\n", i);
        say(LOG_STDOUT, line);
    }
    ok(the_log.dropped > 0, "what has no room is counted: %llu bytes", (unsigned long long)the_log.dropped);
    log_retry(&the_log);
    ok(the_log.dropped > 0, "still counted while there is none");
    close(file);
    unlink(path);
    log_retry(&the_log);
    ok(the_log.dropped == 0, "space came back");
    say(LOG_STDOUT, "after\n");
    log_close(&the_log);
    text = read_log("small/log");
    ok(!strncmp(text, "stdout F before\n", 16), "what was there stays");
    text = strstr(text, "stderr F [tscompose: ");
    ok(text && strstr(text, "were lost here: No space left on device]\nstdout F after\n"), "a marker says what is missing, then it goes on");
    path_of("small", path);
    umount2(path, MNT_DETACH);
}

static void check_none(void)
{
    struct error error = {.op_index = -1};

    ok(!log_open(&the_log, "", 0, 3, &error), "no path, no file");
    say(LOG_STDOUT, "nowhere\n");
    log_finish(&the_log);
    ok(log_open(&the_log, "/nowhere/at/all", 0, 3, &error) && error.number == ENOENT, "a missing folder is an error");
}

int main(void)
{
    char command[64];

    if (!mkdtemp(folder) || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
        ok(false, "a mount namespace of our own");
        return done_testing();
    }
    check_lines();
    check_pieces();
    check_mending();
    check_rotation();
    check_rotation_without_hard_links();
    check_one_file();
    check_full_disk();
    check_none();
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ok(system(command) == 0, "cleaned up");
    return done_testing();
}
