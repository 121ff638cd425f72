#include "status.h"

#include "scope.h"
#include "textfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

size_t status_text(const struct status *status, char text[STATUS_MAX])
{
    char words[ERROR_TEXT_MAX];

    for (size_t i = 0; i < sizeof(words); i++)
        words[i] = status->error[i] == '\n' || status->error[i] == '\r' ? ' ' : status->error[i];
    words[sizeof(words) - 1] = '\0';
    return (size_t)snprintf(text, STATUS_MAX,
                            "state=%s\nshim=%d\npid=%d\nstarttime=%llu\nboot=%s\nstarted=%llu\nfinished=%llu\nexit=%d\noom=%d\nrestarts=%u\n"
                            "stopped=%d\nnext=%llu\nerror=%s\n",
                            status->state, (int)status->shim, (int)status->pid, (unsigned long long)status->start_time, status->boot,
                            (unsigned long long)status->started, (unsigned long long)status->finished, status->exit, status->oom,
                            status->restarts, status->stopped, (unsigned long long)status->next, words);
}

int status_write(int directory, const char *text, size_t length)
{
    scope_fd int fd = openat(directory, "status.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, text, length) != (ssize_t)length)
        return -1;
    return renameat(directory, "status.new", directory, "status");
}

void status_boot_id(char boot[40])
{
    if (read_text(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, 40) < 0)
        boot[0] = '\0';
    boot[strcspn(boot, "\n")] = '\0';
}

uint64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
