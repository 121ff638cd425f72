#include "title.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

static char *title_start;
static size_t title_room;

static int move_environment(void);

/* Arguments and environment lie one after another; the kernel shows both when the last NUL of the arguments is gone (proc_pid_cmdline(5)). */
void title_init(char **argv)
{
    char *end = argv[0];

    for (char **at = argv; *at; at++)
        if (*at == end)
            end += strlen(*at) + 1;
    for (char **at = environ; *at; at++)
        if (*at == end)
            end += strlen(*at) + 1;
    if (move_environment())
        return;
    title_start = argv[0];
    title_room = (size_t)(end - argv[0]);
}

static int move_environment(void)
{
    size_t count = 0;
    char **moved;

    while (environ[count])
        count++;
    moved = calloc(count + 1, sizeof(char *));
    if (!moved)
        return -1;
    for (size_t i = 0; i < count; i++)
        moved[i] = strdup(environ[i]);
    environ = moved;
    return 0;
}

void title_set(const char *text)
{
    size_t length = strlen(text);

    if (!title_room)
        return;
    if (length > title_room - 1)
        length = title_room - 1;
    memset(title_start, 0, title_room);
    memcpy(title_start, text, length);
}
