/* Question, judgement, answer with the descriptor. All decisions and records are open.c's. */
#include "workers/fs/opener_serve.h"

#include <stdlib.h>
#include <string.h>
#include <errno.h>

#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/types.h"
#include "workers/fs/open.h"
#include "workers/fs/opener_wire.h"
#include "workers/lib/loop.h"

static bool is_sound(const struct bh_opener_request *request)
{
    return request->magic == BH_OPENER_MAGIC && request->mode < BH_GUEST_FILE_MODE_COUNT &&
           request->zero == 0 && request->id != 0 &&
           strnlen(request->path, sizeof(request->path)) == request->path_len &&
           request->path_len < sizeof(request->path);
}

static int answer(struct bh_worker *worker, const struct bh_opener_request *request)
{
    struct bh_opener_result result = { .magic = BH_OPENER_MAGIC, .id = request->id };
    struct bh_error error = { 0 };
    struct bh_opened opened = { .fd = -1 };
    struct bh_open open = { .policy = &worker->policy,
                            .audit = &worker->audit,
                            .error = &error,
                            .user = worker->boot->user,
                            .path = { request->path, request->path_len },
                            .mode = (uint8_t)request->mode,
                            .id = request->id };
    const char *text;
    uint32_t rule;
    int r = bh_open_judge_name(&open, &rule);

    if (r == 0)
        r = bh_open_file(&open, rule, &opened);
    text = r == 0 ? opened.name : error.text;
    result.code = (uint16_t)r;
    result.rule = opened.rule;
    result.record = opened.record;
    result.error_record = error.record;
    result.regular = opened.regular;
    result.text_len = (uint16_t)strlen(text);
    memcpy(result.text, text, result.text_len);
    worker->state->requests++;
    r = bh_fd_send(BH_FD_PEER, &result, sizeof(result), opened.fd);
    bh_close_p(&opened.fd);
    return r == -EAGAIN ? 0 : r; /* nobody takes the answers: the fs worker has given up on us */
}

int bh_opener_serve(struct bh_worker *worker)
{
    struct bh_record record = { .kind = BH_RECORD_EVENT,
                                .command = BH_NO_COMMAND,
                                .text = BH_STR("protocol violation by the fs worker: malformed question") };
    struct bh_opener_request request;
    int r;

    for (;;) {
        _cleanup_close_ int fd = -1;

        r = bh_fd_recv(BH_FD_PEER, &request, sizeof(request), &fd);
        if (r > 0 && (fd >= 0 || !is_sound(&request)))
            r = -EPROTO;
        if (r <= 0)
            break;
        r = answer(worker, &request);
        if (r < 0)
            break;
    }
    if (r != -EPROTO)
        return EXIT_SUCCESS;
    (void)bh_audit_send(&worker->audit, &record, NULL);
    return BH_EXIT_PROTOCOL;
}
