#include "tap.h"

#include <stdarg.h>
#include <stdio.h>

static int count;
static int failures;

void ok(bool passed, const char *format, ...)
{
    va_list arguments;

    printf("%sok %d - ", passed ? "" : "not ", ++count);
    failures += passed ? 0 : 1;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
}

void note(const char *format, ...)
{
    va_list arguments;

    printf("# ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
}

int done_testing(void)
{
    printf("1..%d\n", count);
    return failures == 0 && count > 0 ? 0 : 1;
}
