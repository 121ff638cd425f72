/* Removing a tree without following a link and without crossing a mount. */
#ifndef TSCOMPOSE_TREE_H
#define TSCOMPOSE_TREE_H

#include "error.h"

/* Removes `name`, whatever it is, below a directory descriptor. Absent is fine; -1 with errno, EXDEV at a mount. */
int tree_remove_at(int parent, const char *name);
/* Unmounts what is mounted at or below an absolute path, then removes the tree. */
int tree_unmount_and_remove(const char *path, struct error *error);

#endif
