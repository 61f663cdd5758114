/* What portinfo.h says, from poll, fcntl, termios and sysfs. */
#include "broker/supervisor/portinfo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/base/mem.h"

/* Nothing is asked for by the read, so nothing is taken: only an unplugged port answers with an error. */
enum bh_presence bh_port_presence(int fd)
{
    struct pollfd poller = { .fd = fd };
    char nothing[1];

    if (poll(&poller, 1, 0) <= 0)
        return BH_HOST_HERE;
    if (poller.revents & POLLNVAL)
        return BH_PORT_GONE;
    if (read(fd, nothing, 0) < 0 && errno != EAGAIN && errno != EINTR)
        return BH_PORT_GONE;
    return BH_HOST_AWAY;
}

int bh_port_signal(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || (on && fcntl(fd, F_SETOWN, getpid()) < 0))
        return -errno;
    return fcntl(fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC) < 0 ? -errno : 0;
}

static bool has_name(const char *class, const char *entry, const char *name)
{
    char path[512], text[256];
    _cleanup_fclose_ FILE *file = NULL;

    (void)snprintf(path, sizeof(path), "%s/%s/name", class, entry);
    file = fopen(path, "re");
    if (!file || !fgets(text, sizeof(text), file))
        return false;
    text[strcspn(text, "\n")] = '\0';
    return strcmp(text, name) == 0;
}

/* Where udev made no link: the kernel's own list. */
static int find_in_class(const char *class, const char *name, char *ret, size_t size)
{
    DIR *folder = opendir(class);
    struct dirent *entry;
    int r = -ENOENT;

    while (folder && r == -ENOENT && (entry = readdir(folder)))
        if (entry->d_name[0] != '.' && has_name(class, entry->d_name, name))
            r = snprintf(ret, size, "/dev/%s", entry->d_name) < (int)size ? 0 : -ENAMETOOLONG;
    if (folder)
        (void)closedir(folder);
    return r;
}

int bh_port_find(const char *named, const char *links, const char *class, char *ret, size_t size)
{
    size_t len = strlen(links);
    bool below = strncmp(named, links, len) == 0 && named[len] == '/' && !strchr(named + len + 1, '/');
    const char *name = below ? named + len + 1 : named;
    bool is_name = !strchr(name, '/');
    int n = is_name ? snprintf(ret, size, "%s/%s", links, name) : snprintf(ret, size, "%s", name);

    if (n >= (int)size)
        return -ENAMETOOLONG;
    if (access(ret, F_OK) == 0)
        return 0;
    return is_name ? find_in_class(class, name, ret, size) : -ENOENT;
}

int bh_port_set_raw(int fd)
{
    struct termios line;

    if (tcgetattr(fd, &line) < 0)
        return -errno;
    line.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | IGNPAR | PARMRK | INPCK | ISTRIP | INLCR | IGNCR | ICRNL |
                                IXON | IXOFF | IXANY | IMAXBEL);
    line.c_oflag = 0;
    line.c_lflag = 0;
    line.c_cflag |= B38400;
    line.c_cc[VMIN] = 1;
    line.c_cc[VTIME] = 0;
    (void)tcflush(fd, TCIFLUSH); /* what came before we were there is nobody's request */
    return tcsetattr(fd, TCSANOW, &line) < 0 ? -errno : 0;
}
