#include "textfile.h"

#include "scope.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

ssize_t read_text(int directory, const char *path, char *text, size_t size)
{
    scope_fd int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;

    if (fd < 0)
        return -1;
    while (length < size - 1) {
        ssize_t count = read(fd, text + length, size - 1 - length);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        if (count == 0)
            break;
        length += (size_t)count;
    }
    text[length] = '\0';
    return (ssize_t)length;
}

int write_text(int directory, const char *path, const char *text)
{
    scope_fd int fd = openat(directory, path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    return write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

uint64_t keyed_number(int directory, const char *path, const char *key)
{
    char text[4096];
    size_t length = strlen(key);

    if (read_text(directory, path, text, sizeof(text)) < 0)
        return 0;
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (!strncmp(line, key, length) && line[length] == ' ')
            return strtoull(line + length + 1, NULL, 10);
    return 0;
}

uint64_t process_start_time(pid_t pid)
{
    char path[64];
    char text[1024];
    const char *at;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (read_text(AT_FDCWD, path, text, sizeof(text)) < 0)
        return 0;
    /* The name in field 2 may hold blanks and brackets; field 3 comes after the last bracket. */
    at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}
