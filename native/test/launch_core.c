/* The exec subcommand alone, so that its tests need nothing of the other subcommands. */
#include "commands.h"

int main(int argc, char **argv)
{
    return exec_main(argc, argv);
}
