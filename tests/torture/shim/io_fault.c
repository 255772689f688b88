/*
 * Preloaded into the worker: lets chosen system calls fail, on files in one folder.
 *
 *   IO_FAULT_FOLDER  only files below this folder
 *   IO_FAULT_CALL    write, fsync, truncate or allocate: see the groups below
 *   IO_FAULT_AT      the first call of that group that fails, counted from 1
 *   IO_FAULT_TIMES   how many fail from there on
 *   IO_FAULT_ERRNO   EIO or ENOSPC
 *   IO_FAULT_REPORT  a file that is made once a call has failed
 *
 * And lets its wall clock be wrong:
 *
 *   CLOCK_AHEAD_SECONDS  by how much it is ahead; less than 0: behind
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static atomic_long calls;

static int is_below(int fd, const char *folder) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    size_t prefix = strlen(folder);
    if (length < 0 || (size_t)length <= prefix)
        return 0;
    path[length] = '\0';
    return strncmp(path, folder, prefix) == 0 && path[prefix] == '/';
}

static int strikes(int fd, const char *call) {
    const char *wanted = getenv("IO_FAULT_CALL"), *folder = getenv("IO_FAULT_FOLDER");
    const char *at = getenv("IO_FAULT_AT"), *times = getenv("IO_FAULT_TIMES");
    const char *error = getenv("IO_FAULT_ERRNO"), *report = getenv("IO_FAULT_REPORT");
    if (!wanted || !folder || !at || strcmp(wanted, call) != 0)
        return 0;
    int before = errno;
    int below = is_below(fd, folder);
    errno = before;
    if (!below)
        return 0;
    long first = atol(at), count = times ? atol(times) : 1;
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (number < first || number >= first + count)
        return 0;
    if (report) {
        int made = open(report, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (made >= 0)
            close(made);
    }
    errno = error && strcmp(error, "ENOSPC") == 0 ? ENOSPC : EIO;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t count) {
    return strikes(fd, "write") ? -1 : REAL(write)(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return strikes(fd, "write") ? -1 : REAL(writev)(fd, parts, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    return strikes(fd, "write") ? -1 : REAL(pwrite)(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    return strikes(fd, "write") ? -1 : REAL(pwrite64)(fd, bytes, count, offset);
}

int fsync(int fd) {
    return strikes(fd, "fsync") ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd) {
    return strikes(fd, "fsync") ? -1 : REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t length) {
    return strikes(fd, "truncate") ? -1 : REAL(ftruncate)(fd, length);
}

int ftruncate64(int fd, off64_t length) {
    return strikes(fd, "truncate") ? -1 : REAL(ftruncate64)(fd, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
    return strikes(fd, "allocate") ? -1 : REAL(fallocate)(fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    return strikes(fd, "allocate") ? -1 : REAL(fallocate64)(fd, mode, offset, length);
}

/* These say what is wrong by what they return. */
int posix_fallocate(int fd, off_t offset, off_t length) {
    return strikes(fd, "allocate") ? errno : REAL(posix_fallocate)(fd, offset, length);
}

int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    return strikes(fd, "allocate") ? errno : REAL(posix_fallocate64)(fd, offset, length);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static _Atomic(__typeof__(&clock_gettime)) real;
    if (!real)
        real = REAL(clock_gettime);
    int failed = real(clock, now);
    const char *ahead = getenv("CLOCK_AHEAD_SECONDS");
    if (!failed && ahead && clock == CLOCK_REALTIME)
        now->tv_sec += atol(ahead);
    return failed;
}
