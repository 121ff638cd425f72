/* The subcommands: each gets its own argv, with argv[0] the program and argv[1] its name, and returns an exit code. */
#ifndef TSCOMPOSE_COMMANDS_H
#define TSCOMPOSE_COMMANDS_H

/* serve: frames on descriptor 3 (protocol.h). */
int serve_main(int argc, char **argv);
/* supervise LOCK -- COMMAND…: runs the command while holding the lock. */
int supervise_main(int argc, char **argv);
/* exec FD [STATUSFD]: runs the launch program in FD with our own stdio. */
int exec_main(int argc, char **argv);

#endif
