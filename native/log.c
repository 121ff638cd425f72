#include "log.h"

#include "scope.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* "2026-11-22T05:56:48.123456789Z stdout F " */
#define PREFIX_MAX 64
/* Of a marker line, with strerror's text. */
#define MARKER_MAX 256

static const char *const stream_names[] = {[LOG_STDOUT] = "stdout", [LOG_STDERR] = "stderr"};

static int open_directory(struct log *log, const char *path, struct error *error);
static void mend_last_line(struct log *log);
static void put_line(struct log *log, enum log_stream stream, char tag, const unsigned char *bytes, size_t length);
static void write_batch(struct log *log);
static void rotate(struct log *log);

int log_open(struct log *log, const char *path, uint64_t rotate_bytes, uint32_t keep, struct error *error)
{
    struct stat status;

    log->fd = log->directory = -1;
    log->size = log->dropped = log->batched = 0;
    log->lines[0].length = log->lines[1].length = 0;
    log->rotate_bytes = rotate_bytes;
    log->keep = keep ? keep : 1;
    if (!*path)
        return 0;
    if (open_directory(log, path, error))
        return -1;
    log->fd = openat(log->directory, log->name, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (log->fd < 0 || fstat(log->fd, &status))
        return fail(error, "log %s", path);
    log->size = (uint64_t)status.st_size;
    mend_last_line(log);
    return 0;
}

static int open_directory(struct log *log, const char *path, struct error *error)
{
    const char *slash = strrchr(path, '/');
    char directory[4096];

    if (!slash || slash == path || strlen(slash + 1) >= sizeof(log->name) - 16 || (size_t)(slash - path) >= sizeof(directory))
        return fail_with(error, EINVAL, "log %s", path);
    memcpy(directory, path, (size_t)(slash - path));
    directory[slash - path] = '\0';
    strcpy(log->name, slash + 1);
    log->directory = open(directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    return log->directory < 0 ? fail(error, "log directory %s", directory) : 0;
}

/* Otherwise the first line of this run would be glued to it. */
static void mend_last_line(struct log *log)
{
    char last;

    if (log->size && pread(log->fd, &last, 1, (off_t)log->size - 1) == 1 && last != '\n' && write(log->fd, "\n", 1) == 1)
        log->size++;
}

void log_write(struct log *log, enum log_stream stream, const unsigned char *bytes, size_t length)
{
    struct log_line *line = &log->lines[stream - 1];

    if (log->fd < 0)
        return;
    while (length) {
        const unsigned char *end = memchr(bytes, '\n', length);
        size_t room = LOG_PIECE - line->length;
        size_t count = end ? (size_t)(end - bytes) : length;

        if (count > room) {
            count = room;
            end = NULL;
        }
        memcpy(line->bytes + line->length, bytes, count);
        line->length += count;
        bytes += count;
        length -= count;
        if (end) {
            put_line(log, stream, 'F', line->bytes, line->length);
            line->length = 0;
            bytes++;
            length--;
        } else if (line->length == LOG_PIECE && length) {
            put_line(log, stream, 'P', line->bytes, line->length);
            line->length = 0;
        }
    }
    write_batch(log);
}

void log_finish(struct log *log)
{
    if (log->fd < 0)
        return;
    for (int stream = LOG_STDOUT; stream <= LOG_STDERR; stream++) {
        struct log_line *line = &log->lines[stream - 1];

        if (line->length)
            put_line(log, (enum log_stream)stream, 'F', line->bytes, line->length);
        line->length = 0;
    }
    write_batch(log);
}

static size_t put_prefix(char *prefix, enum log_stream stream, char tag)
{
    struct timespec now;
    struct tm utc;
    size_t length;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    length = strftime(prefix, PREFIX_MAX, "%Y-%m-%dT%H:%M:%S", &utc);
    return length + (size_t)snprintf(prefix + length, PREFIX_MAX - length, ".%09ldZ %s %c ", now.tv_nsec, stream_names[stream], tag);
}

static void put_line(struct log *log, enum log_stream stream, char tag, const unsigned char *bytes, size_t length)
{
    char prefix[PREFIX_MAX];
    size_t prefix_length = put_prefix(prefix, stream, tag);
    size_t whole = prefix_length + length + 1;

    if (log->batched + whole > LOG_BATCH)
        write_batch(log);
    if (log->rotate_bytes && log->size + log->batched && log->size + log->batched + whole > log->rotate_bytes) {
        write_batch(log);
        rotate(log);
    }
    memcpy(log->batch + log->batched, prefix, prefix_length);
    memcpy(log->batch + log->batched + prefix_length, bytes, length);
    log->batch[log->batched + whole - 1] = '\n';
    log->batched += whole;
}

/* How many of the first `count` bytes end in a whole line. */
static size_t whole_lines(const unsigned char *bytes, size_t count)
{
    const unsigned char *last = count ? memrchr(bytes, '\n', count) : NULL;

    return last ? (size_t)(last - bytes) + 1 : 0;
}

/* Writes or drops; a line is in the file whole or not at all. Returns the bytes that stay. */
static size_t write_whole(struct log *log, const unsigned char *bytes, size_t length)
{
    size_t written = 0;
    size_t kept;

    while (written < length) {
        ssize_t count = write(log->fd, bytes + written, length - written);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            log->dropped_why = count < 0 ? errno : ENOSPC;
            break;
        }
        written += (size_t)count;
    }
    kept = written == length ? length : whole_lines(bytes, written);
    if (kept < written && ftruncate(log->fd, (off_t)(log->size + kept)))
        kept = written;
    log->size += kept;
    return kept;
}

void log_retry(struct log *log)
{
    char marker[MARKER_MAX];
    size_t length;

    if (!log->dropped || log->fd < 0)
        return;
    length = put_prefix(marker, LOG_STDERR, 'F');
    length += (size_t)snprintf(marker + length, sizeof(marker) - length, "[tscompose: %llu bytes of output were lost here: %s]\n",
                               (unsigned long long)log->dropped, strerror(log->dropped_why));
    if (write_whole(log, (const unsigned char *)marker, length) == length)
        log->dropped = 0;
}

static void write_batch(struct log *log)
{
    size_t kept;

    if (!log->batched)
        return;
    log_retry(log);
    kept = log->dropped ? 0 : write_whole(log, log->batch, log->batched);
    log->dropped += log->batched - kept;
    log->batched = 0;
}

/* By a second name, so that the first one is there all the time; by renaming where the file system has no hard links. */
static bool keep_current(const struct log *log, const char *older)
{
    if (unlinkat(log->directory, older, 0) && errno != ENOENT)
        return false;
    return !linkat(log->directory, log->name, log->directory, older, 0) ||
           !renameat(log->directory, log->name, log->directory, older);
}

/* "log" is there at every instant: the old file gets its second name first, then the new one takes the first name over. */
static void rotate(struct log *log)
{
    char fresh[272], older[272], old[272];
    int fd;

    snprintf(fresh, sizeof(fresh), "%s.new", log->name);
    unlinkat(log->directory, fresh, 0);
    fd = openat(log->directory, fresh, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    for (uint32_t number = log->keep; number-- > 1;) {
        snprintf(older, sizeof(older), "%s.%u", log->name, number);
        snprintf(old, sizeof(old), "%s.%u", log->name, number - 1);
        if (number > 1)
            renameat(log->directory, old, log->directory, older);
        else if (!keep_current(log, older)) {
            close(fd);
            unlinkat(log->directory, fresh, 0);
            return;
        }
    }
    if (renameat(log->directory, fresh, log->directory, log->name)) {
        close(fd);
        return;
    }
    close(log->fd);
    log->fd = fd;
    log->size = 0;
}

void log_close(struct log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    if (log->directory >= 0)
        close(log->directory);
    log->fd = log->directory = -1;
}
