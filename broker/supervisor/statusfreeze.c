/*
 * What status.json says of the present freeze, or of the last one: from the frozen page, which its guard has
 * written; so numbers are bounded and strings ended here.
 */
#include <string.h>

#include "broker/supervisor/json.h"
#include "broker/supervisor/supervisor.h"
#include "protocol/base/clock.h"
#include "protocol/base/mem.h"

static const char *word(const char *const *words, size_t n, uint32_t index)
{
    return index < n && words[index] ? words[index] : "?";
}

#define WORD(words, index) word(words, BH_ARRAY_SIZE(words), index)

/* A moment, or null where there was none. */
static void moment(FILE *out, const char *name, uint64_t ns)
{
    char text[BH_CLOCK_TEXT_MAX];

    if (!ns) {
        fprintf(out, "\"%s\": null, ", name);
        return;
    }
    bh_clock_text(ns, text);
    bh_json_member(out, name, text);
}

static void mount_row(FILE *out, const struct bh_frozen_mount *mount)
{
    static const char *const fates[BH_MOUNT_FATE_END] = { [BH_MOUNT_SKIPPED] = "skipped",
                                                          [BH_MOUNT_ABOUT] = "freezing",
                                                          [BH_MOUNT_FROZEN] = "frozen",
                                                          [BH_MOUNT_THAWED] = "thawed" };
    const char *why = bh_frozen_why(mount);

    fputs("    {\"mountpoint\": ", out);
    bh_json_string(out, mount->path, strnlen(mount->path, sizeof(mount->path)));
    fprintf(out, ", \"device\": \"%u:%u\", \"ms\": %u, ", mount->major, mount->minor, mount->ms);
    bh_json_member(out, "state", WORD(fates, mount->fate));
    fputs("\"why\": ", out);
    bh_json_text(out, why ? why : "");
    fputc('}', out);
}

void bh_status_freeze(FILE *out, const struct bh_frozen *frozen)
{
    static const char *const states[BH_FREEZE_STATE_END] = { "thawed", "freezing", "frozen", "thawing" };
    static const char *const causes[BH_THAW_CAUSE_END] = { "asked", "expired", "abandoned", "recovered",
                                                           "stopped" };
    const uint32_t n = bh_frozen_mounts(frozen);
    const uint64_t now_ms = bh_clock_ms(CLOCK_BOOTTIME), now_ns = bh_clock_ns(CLOCK_REALTIME);
    const uint64_t left_ms = frozen->lease_end_ms > now_ms ? frozen->lease_end_ms - now_ms : 0;

    fputs("  \"freeze\": {", out);
    bh_json_member(out, "state", WORD(states, bh_frozen_state(frozen)));
    fputs("\"channel\": ", out);
    bh_json_string(out, frozen->channel, strnlen(frozen->channel, sizeof(frozen->channel)));
    fputs(", ", out);
    moment(out, "began", frozen->began_ns);
    moment(out, "frozen", frozen->frozen_ns);
    moment(out, "thawed", frozen->thawed_ns);
    moment(out, "thaws-itself", left_ms ? now_ns + left_ms * 1000000 : 0);
    if (frozen->thawed_ns)
        bh_json_member(out, "cause", WORD(causes, frozen->cause));
    fputs("\n   \"mounts\": [", out);
    for (uint32_t i = 0; i < n; i++) {
        fputs(i ? ",\n" : "\n", out);
        mount_row(out, &frozen->mounts[i]);
    }
    fputs("]},\n", out);
}
