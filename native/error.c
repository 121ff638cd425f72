#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int fill(struct error *error, int number, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

int fail(struct error *error, const char *format, ...)
{
    int number = errno;
    va_list arguments;

    va_start(arguments, format);
    fill(error, number, format, arguments);
    va_end(arguments);
    return -1;
}

int fail_with(struct error *error, int number, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fill(error, number, format, arguments);
    va_end(arguments);
    return -1;
}

/* The kernel's words go last, as perror(3) has them; a text too long loses its own end, never theirs. */
static int fill(struct error *error, int number, const char *format, va_list arguments)
{
    const char *words = strerror(number);
    size_t room = sizeof(error->text) - strlen(words) - 2;

    error->number = number;
    error->op_index = -1;
    error->op = 0;
    vsnprintf(error->text, room, format, arguments);
    if (number)
        snprintf(error->text + strlen(error->text), sizeof(error->text) - strlen(error->text), ": %s", words);
    errno = number;
    return -1;
}
