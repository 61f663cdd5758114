/* The streams of exec_streams.h. */
#include "broker/ctl/exec_streams.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "protocol/base/mem.h"
#include "protocol/json/base64.h"

#define READ_STEP (64u * 1024u)
#define PIPE_STEP 4096u /* a pipe that poll calls writable takes so much without blocking */

/* --- input ------------------------------------------------------------------------ */

/* /dev/null is what a program without input has anyway. */
static bool has_input(void)
{
    struct stat st;

    if (fstat(STDIN_FILENO, &st) < 0)
        return false;
    return !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3);
}

int ctl_in_open(struct ctl_in *in, bool wanted)
{
    *in = (struct ctl_in){ .open = wanted && has_input() };
    if (!in->open)
        return 0;
    in->data = malloc(CTL_IN_MAX);
    return in->data ? 0 : -ENOMEM;
}

static bool is_ready(int fd, short events)
{
    struct pollfd poll_fd = { .fd = fd, .events = events };

    return poll(&poll_fd, 1, 0) > 0;
}

/* Room for more, made where it costs little. */
static size_t make_room(struct ctl_in *in)
{
    if (in->at >= CTL_IN_MAX / 2 || in->at == in->len) {
        in->len -= in->at;
        memmove(in->data, in->data + in->at, in->len);
        in->at = 0;
    }
    return CTL_IN_MAX - in->len;
}

static bool wants_more(struct ctl_in *in)
{
    return in->open && !in->ended && make_room(in) > 0;
}

void ctl_in_fill(struct ctl_in *in)
{
    while (wants_more(in) && is_ready(STDIN_FILENO, POLLIN)) {
        size_t room = CTL_IN_MAX - in->len;
        ssize_t n = read(STDIN_FILENO, in->data + in->len, room < READ_STEP ? room : READ_STEP);

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            return;
        in->ended = n <= 0;
        in->len += n > 0 ? (size_t)n : 0;
    }
}

void ctl_in_close(struct ctl_in *in)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null >= 0)
        (void)dup2(null, STDIN_FILENO);
    if (null > STDERR_FILENO)
        (void)close(null);
    in->open = false;
    in->at = in->len = 0;
    free(bh_take_ptr(in->data));
}

/* --- output ----------------------------------------------------------------------- */

static int reserve(struct ctl_out *out, size_t need)
{
    size_t cap = out->len + need;
    uint8_t *more;

    if (cap <= out->cap)
        return 0;
    more = realloc(out->data, cap);
    if (!more)
        return -ENOMEM;
    out->data = more;
    out->cap = cap;
    return 0;
}

int ctl_out_add(struct ctl_out *out, const char *text)
{
    struct bh_base64 state = { 0 };
    const size_t len = strlen(text);
    long n;
    int r;

    if (out->gone)
        return 0;
    r = reserve(out, BH_BASE64_DECODED_MAX(len));
    if (r < 0)
        return r;
    n = bh_base64_decode(&state, text, len, out->data + out->len);
    if (n < 0 || bh_base64_decode_end(&state) < 0)
        return -EBADMSG;
    out->len += (size_t)n;
    return 0;
}

/* A file takes all; of anything else poll promises a little at a time. */
static size_t step(const struct ctl_out *out)
{
    size_t left = out->len - out->at;
    struct stat st;

    if (fstat(out->fd, &st) == 0 && S_ISREG(st.st_mode))
        return left;
    return left < PIPE_STEP ? left : PIPE_STEP;
}

int ctl_out_flush(struct ctl_out *out)
{
    int error = 0;

    while (ctl_out_waits(out) && is_ready(out->fd, POLLOUT)) {
        ssize_t n = write(out->fd, out->data + out->at, step(out));

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            break;
        error = n < 0 ? -errno : 0;
        out->gone |= n < 0;
        out->at += n > 0 ? (size_t)n : 0;
    }
    if (!ctl_out_waits(out))
        out->at = out->len = 0;
    return error;
}

bool ctl_out_waits(const struct ctl_out *out)
{
    return out->at < out->len && !out->gone;
}

void ctl_streams_wait(struct ctl_in *in, const struct ctl_out *out, const struct ctl_out *err, int timeout_ms)
{
    struct pollfd fds[] = { { .fd = wants_more(in) ? STDIN_FILENO : -1, .events = POLLIN },
                            { .fd = ctl_out_waits(out) ? out->fd : -1, .events = POLLOUT },
                            { .fd = ctl_out_waits(err) ? err->fd : -1, .events = POLLOUT } };

    (void)poll(fds, BH_ARRAY_SIZE(fds), timeout_ms);
}
