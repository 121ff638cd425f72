#include "status.h"
#include "tap.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check_text(void)
{
    char text[STATUS_MAX];
    struct status status = {.state = "restarting", .shim = 5, .pid = 0, .start_time = 0, .started = 1790000000123, .finished = 1790000000456,
                            .exit = 137, .oom = true, .restarts = 4, .stopped = false, .next = 1790000000556};
    static const char wanted[] = "state=restarting\nshim=5\npid=0\nstarttime=0\nboot=b\nstarted=1790000000123\nfinished=1790000000456\nexit=137\n"
                                 "oom=1\nrestarts=4\nstopped=0\nnext=1790000000556\nerror=no such file  x\n";

    strcpy(status.boot, "b");
    strcpy(status.error, "no such file\r\nx");
    ok(status_text(&status, text) == sizeof(wanted) - 1 && !strcmp(text, wanted), "every key, one a line, and words on one line");
    memset(status.error, 'x', sizeof(status.error));
    ok(status_text(&status, text) < STATUS_MAX && text[strlen(text) - 1] == '\n', "the longest words fit");
}

static void check_file(void)
{
    char path[] = "/tmp/core-status-XXXXXX";
    char text[64] = "";
    int directory = mkdtemp(path) ? open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC) : -1;
    int file;
    struct stat status;

    ok(!status_write(directory, "one\n", 4) && !status_write(directory, "second\n", 7), "written twice");
    file = openat(directory, "status", O_RDONLY | O_CLOEXEC);
    ok(read(file, text, sizeof(text) - 1) == 7 && !strcmp(text, "second\n"), "the second is there");
    ok(!fstat(file, &status) && (status.st_mode & 0777) == 0600, "for its owner alone");
    ok(faccessat(directory, "status.new", F_OK, 0), "nothing is left beside it");
    close(file);
    unlinkat(directory, "status", 0);
    close(directory);
    rmdir(path);
}

int main(void)
{
    char boot[40];

    check_text();
    check_file();
    status_boot_id(boot);
    ok(strlen(boot) == 36, "the boot id is a UUID");
    return done_testing();
}
