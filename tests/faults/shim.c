/* Faults at a chosen change of a file: loaded before the C library (LD_PRELOAD) into vecml and all that it starts.
 *
 * Counted is every call that changes a file or a folder under one of the paths in FAULT_UNDER (separated by colons):
 * write, rename, link, unlink, fsync, truncate, and open or mkdir that make something. The count is shared by all
 * processes, in the first eight bytes of the file FAULT_COUNT. At the call number FAULT_AT, before it is done, FAULT_DO
 * says what happens: `kill` ends the process by SIGKILL, `group` its whole process group, `stop`
 * halts the process by SIGSTOP, `full` fails this call and every
 * later one with ENOSPC (a removal never fails: it makes room), `error` fails this one with EIO. FAULT_LOG, where it is
 * set, gets a line for each call: number, process, name, path.
 *
 * A process that forks itself for each command (tests/system/forked_commands.py) is loaded without FAULT_COUNT; its
 * children call `fault_begin` once the variables are set, and are counted from there on.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static uint64_t *count;
static uint64_t at;
static const char *under, *action;
static int log_file = -1;

__attribute__((constructor)) void fault_begin(void) {
    const char *path = getenv("FAULT_COUNT"), *log = getenv("FAULT_LOG"), *number = getenv("FAULT_AT");
    under = getenv("FAULT_UNDER");
    action = getenv("FAULT_DO");
    at = number ? strtoull(number, NULL, 10) : 0;
    if (!path || !under) return;
    int file = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) count = mapped;
    close(file);
    if (log) log_file = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

static int watched(const char *path) {
    for (const char *one = under; one && *one;) {
        const char *end = strchrnul(one, ':');
        size_t length = end - one;
        if (strncmp(path, one, length) == 0 && (path[length] == '/' || path[length] == 0)) return 1;
        one = *end ? end + 1 : end;
    }
    return 0;
}

/* The absolute path that a folder's descriptor and a path relative to it mean. */
static void absolute(int folder, const char *path, char *full, size_t size) {
    char link[64];
    if (path && path[0] == '/') {
        snprintf(full, size, "%s", path);
        return;
    }
    if (folder == AT_FDCWD) {
        if (syscall(SYS_getcwd, full, size) < 0) full[0] = 0;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, full, size - 1);
        full[length < 0 ? 0 : length] = 0;
    }
    if (path) {
        size_t length = strlen(full);
        snprintf(full + length, size - length, "/%s", path);
    }
}

/* Whether this call is to fail, with errno set. */
static int fails(const char *name, int folder, const char *path, int makes_room) {
    char full[4096], line[4300];
    if (!count) return 0;
    int before = errno;
    absolute(folder, path, full, sizeof full);
    if (!watched(full)) {
        errno = before;
        return 0;
    }
    uint64_t number = __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
    if (log_file >= 0) {
        int length = snprintf(line, sizeof line, "%lu %d %s %s\n", (unsigned long)number, (int)getpid(), name, full);
        if (syscall(SYS_write, log_file, line, length) < 0) errno = before;
    }
    errno = before;
    if (!at || !action || number < at) return 0;
    if (number == at && !strcmp(action, "kill")) syscall(SYS_kill, getpid(), SIGKILL);
    if (number == at && !strcmp(action, "group")) syscall(SYS_kill, 0, SIGKILL);
    if (number == at && !strcmp(action, "stop")) syscall(SYS_kill, getpid(), SIGSTOP);
    if (makes_room) return 0;
    if (!strcmp(action, "full")) {
        errno = ENOSPC;
        return 1;
    }
    if (number == at && !strcmp(action, "error")) {
        errno = EIO;
        return 1;
    }
    return 0;
}

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *buffer, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return fails("write", fd, NULL, 0) ? -1 : real(fd, buffer, size);
}
ssize_t pwrite(int fd, const void *buffer, size_t size, off_t offset) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    return fails("write", fd, NULL, 0) ? -1 : real(fd, buffer, size, offset);
}
ssize_t pwrite64(int fd, const void *buffer, size_t size, off64_t offset) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    return fails("write", fd, NULL, 0) ? -1 : real(fd, buffer, size, offset);
}
ssize_t writev(int fd, const struct iovec *parts, int n) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    return fails("write", fd, NULL, 0) ? -1 : real(fd, parts, n);
}
ssize_t sendfile(int to, int from, off_t *offset, size_t size) {
    REAL(ssize_t, "sendfile", int, int, off_t *, size_t);
    return fails("write", to, NULL, 0) ? -1 : real(to, from, offset, size);
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t size) {
    REAL(ssize_t, "sendfile64", int, int, off64_t *, size_t);
    return fails("write", to, NULL, 0) ? -1 : real(to, from, offset, size);
}
ssize_t copy_file_range(int from, off64_t *in, int to, off64_t *out, size_t size, unsigned flags) {
    REAL(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned);
    return fails("write", to, NULL, 0) ? -1 : real(from, in, to, out, size, flags);
}
int fsync(int fd) {
    REAL(int, "fsync", int);
    return fails("fsync", fd, NULL, 0) ? -1 : real(fd);
}
int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    return fails("fsync", fd, NULL, 0) ? -1 : real(fd);
}
int ftruncate(int fd, off_t size) {
    REAL(int, "ftruncate", int, off_t);
    return fails("truncate", fd, NULL, size == 0) ? -1 : real(fd, size);
}
int ftruncate64(int fd, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    return fails("truncate", fd, NULL, size == 0) ? -1 : real(fd, size);
}
int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    return fails("rename", AT_FDCWD, to, 0) ? -1 : real(from, to);
}
int renameat(int a, const char *from, int b, const char *to) {
    REAL(int, "renameat", int, const char *, int, const char *);
    return fails("rename", b, to, 0) ? -1 : real(a, from, b, to);
}
int link(const char *from, const char *to) {
    REAL(int, "link", const char *, const char *);
    return fails("link", AT_FDCWD, to, 0) ? -1 : real(from, to);
}
int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    return fails("unlink", AT_FDCWD, path, 1) ? -1 : real(path);
}
int unlinkat(int folder, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    return fails("unlink", folder, path, 1) ? -1 : real(folder, path, flags);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    return fails("mkdir", AT_FDCWD, path, 0) ? -1 : real(path, mode);
}
int mkdirat(int folder, const char *path, mode_t mode) {
    REAL(int, "mkdirat", int, const char *, mode_t);
    return fails("mkdir", folder, path, 0) ? -1 : real(folder, path, mode);
}

/* Only an open that may make a file or empty it changes something. */
static int changes(int folder, const char *path, int flags) {
    char full[4096];
    if (!(flags & (O_CREAT | O_TRUNC))) return 0;
    if (flags & O_TRUNC) return 1;
    absolute(folder, path, full, sizeof full);
    return syscall(SYS_faccessat, AT_FDCWD, full, F_OK) != 0;
}
#define OPEN(name)                                                                            \
    int name(const char *path, int flags, ...) {                                              \
        REAL(int, #name, const char *, int, ...);                                             \
        va_list more;                                                                         \
        va_start(more, flags);                                                                \
        mode_t mode = va_arg(more, int);                                                      \
        va_end(more);                                                                         \
        int before = errno, change = changes(AT_FDCWD, path, flags);                          \
        errno = before;                                                                       \
        return change && fails("open", AT_FDCWD, path, 0) ? -1 : real(path, flags, mode);     \
    }
#define OPENAT(name)                                                                          \
    int name(int folder, const char *path, int flags, ...) {                                  \
        REAL(int, #name, int, const char *, int, ...);                                        \
        va_list more;                                                                         \
        va_start(more, flags);                                                                \
        mode_t mode = va_arg(more, int);                                                      \
        va_end(more);                                                                         \
        int before = errno, change = changes(folder, path, flags);                            \
        errno = before;                                                                       \
        return change && fails("open", folder, path, 0) ? -1 : real(folder, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
