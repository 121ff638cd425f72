/* Small files of the kernel and of the run folder, read and written whole. */
#ifndef TSCOMPOSE_TEXTFILE_H
#define TSCOMPOSE_TEXTFILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads at most size - 1 bytes and puts a NUL after them. Returns the length, or -1 with errno. */
ssize_t read_text(int directory, const char *path, char *text, size_t size);
/* Writes to a file that exists, in one write(2), as cgroup and procfs files want it. */
int write_text(int directory, const char *path, const char *text);
/* Reads the number behind `key` in lines of the form "key number"; 0 when absent. */
uint64_t keyed_number(int directory, const char *path, const char *key);
/* Field 22 of /proc/PID/stat (proc_pid_stat(5)): clock ticks from boot to the start; 0 when there is no such process. */
uint64_t process_start_time(pid_t pid);

#endif
