/* Ending a process's children with everything they started. */
#ifndef TSCOMPOSE_PROCESS_TREE_H
#define TSCOMPOSE_PROCESS_TREE_H

#include <sys/types.h>

/* Sends SIGKILL to every descendant of `root`, but not to it, and to the members of its children's sessions and process groups; looks
 * again until nobody new is found. Returns how many were met. A grandchild that left both session and parent is not found. */
int process_tree_kill(pid_t root);

#endif
