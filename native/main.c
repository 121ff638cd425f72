#include "commands.h"
#include "protocol.h"

#include <stdio.h>
#include <string.h>

static int version_main(int argc, char **argv);

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "serve", serve_main },
    { "supervise", supervise_main },
    { "exec", exec_main },
    { "version", version_main },
};

int main(int argc, char **argv)
{
    for (size_t row = 0; argc > 1 && row < sizeof(commands) / sizeof(commands[0]); row++)
        if (strcmp(argv[1], commands[row].name) == 0)
            return commands[row].run(argc, argv);
    fprintf(stderr, "tscompose-core: %s; this program is started by tscompose\n", argc > 1 ? "unknown command" : "no command");
    return 2;
}

static int version_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("%u\n", PROTOCOL_VERSION);
    return 0;
}
