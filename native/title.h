/* What ps(1) shows of this process. */
#ifndef TSCOMPOSE_TITLE_H
#define TSCOMPOSE_TITLE_H

/* Before anything else: remembers where the arguments lie, and moves the environment out of their way. */
void title_init(char **argv);
/* Writes over the arguments; cut to the room they and the environment had. Without title_init it does nothing. */
void title_set(const char *text);

#endif
