/*
 * bulkheadctl audit verify: is the log what the agent wrote?
 *
 * For each segment: its number follows the last one; its first line names the size and
 * the last mac that the segment before it really has; every line's mac is right under the
 * chain's key at that line. After a line that is wrong the rest of its segment proves
 * nothing; the next segment is checked again from its run's first key.
 *
 * A line without its end is what a SIGKILL of everything or a power cut leaves. Where the
 * next run has counted it, it is a note; at the end of the newest segment it cannot be told
 * from a line that somebody cut, so it is said as what it is, and the exit status is 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>

#include <json-c/json.h>

#include "broker/audit/line.h"
#include "broker/ctl/keys.h"
#include "broker/ctl/log.h"
#include "broker/ctl/statusfile.h"
#include "protocol/base/mem.h"

#define TORN_TRIES 5
#define TORN_WAIT_MS 10
#define STEPS_MAX                                                                                            \
    (1ull << 32) /* lines of one run: a larger number in a header is a lie that would cost hours */

/* Where the walk stands. */
struct walk {
    const struct ctl *ctl;
    struct ctl_log log;
    struct ctl_keys keys;
    struct json_object *problems, *notes; /* --json: collected */
    struct bh_chain chain;
    uint64_t run;                     /* segment whose key the chain has; 0: none */
    uint64_t segment;                 /* the one being read */
    uint64_t previous, previous_size; /* the one before; 0: none */
    uint8_t previous_mac[BH_SHA256_SIZE];
    uint64_t line, records, n_problems;
    bool torn; /* the newest segment ends in half a line */
};

static void __attribute__((format(printf, 3, 4)))
tell(struct walk *walk, bool problem, const char *format, ...)
{
    char name[BH_SEGMENT_NAME_MAX], text[512];
    struct json_object *row;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    bh_segment_name(walk->segment, name);
    walk->n_problems += problem;
    if (!walk->ctl->json && walk->line > 0)
        printf("%s%s, line %" PRIu64 ": %s\n", problem ? "" : "note: ", name, walk->line, text);
    else if (!walk->ctl->json)
        printf("%s%s: %s\n", problem ? "" : "note: ", name, text);
    if (!walk->ctl->json)
        return;
    row = json_object_new_object();
    json_object_object_add(row, "file", json_object_new_string(name));
    json_object_object_add(row, "line", json_object_new_int64((int64_t)walk->line));
    json_object_object_add(row, "text", json_object_new_string(text));
    json_object_array_add(problem ? walk->problems : walk->notes, row);
}

/* What the header says of the segment before it, against what that one is. */
static bool check_predecessor(struct walk *walk, struct json_object *header)
{
    uint64_t previous = (uint64_t)ctl_json_number(header, "previous");
    uint64_t size = (uint64_t)ctl_json_number(header, "previous-size");

    if (walk->previous == 0 || previous != walk->previous)
        return true; /* deleted by age, or missing: that has been told */
    if (size != walk->previous_size)
        tell(walk, true,
             "the segment before it had %" PRIu64 " bytes when this one was begun; now it has %" PRIu64, size,
             walk->previous_size);
    else if (memcmp(walk->previous_mac, walk->chain.mac, BH_SHA256_SIZE) != 0)
        tell(walk, true, "the segment before it ended with another line when this one was begun");
    else
        return true;
    return false;
}

/* Takes the chain to where the header says the run stood. */
static bool enter_run(struct walk *walk, uint64_t steps)
{
    const struct ctl_key *key = ctl_keys_find(&walk->keys, walk->segment);

    if (!key) {
        tell(walk, true, "there is no key for it: give the kept copy of the keys file with --key");
        return false;
    }
    if (walk->run == key->segment && walk->chain.steps == steps)
        return true;
    if (steps > STEPS_MAX || (key->segment == walk->segment && steps != 0)) {
        tell(walk, true, "the header claims %" PRIu64 " lines before it, which cannot be", steps);
        return false;
    }
    memcpy(walk->chain.key, key->key, BH_SHA256_SIZE);
    walk->chain.steps = 0;
    bh_chain_skip(&walk->chain, steps);
    walk->run = key->segment;
    return true;
}

/* The first line: sets the chain up. False: the segment cannot be checked. */
static bool enter_segment(struct walk *walk, const char *line)
{
    struct json_object *header = json_tokener_parse(line);
    uint64_t steps = (uint64_t)ctl_json_number(header, "steps");
    const char *mac = ctl_json_text(header, "previous-mac", "");
    bool good = false;

    if (strcmp(ctl_json_text(header, "kind", ""), "segment") != 0)
        tell(walk, true, "this is not the first line of a segment; lines before it were removed");
    else if (ctl_json_number(header, "format") != BH_LINE_FORMAT)
        tell(walk, true, "its format %" PRId64 " is not one that this program knows",
             ctl_json_number(header, "format"));
    else if ((uint64_t)ctl_json_number(header, "segment") != walk->segment)
        tell(walk, true, "it is segment %" PRId64 " under another name", ctl_json_number(header, "segment"));
    else if (strlen(mac) != BH_CHAIN_HEX || !bh_chain_unhex(mac, BH_CHAIN_HEX, walk->chain.mac))
        tell(walk, true, "its header is malformed");
    else
        good = enter_run(walk, steps);
    if (good)
        (void)check_predecessor(walk, header);
    json_object_put(header);
    return good;
}

/* One complete line. False: nothing behind it in this segment proves anything. */
static bool check_line(struct walk *walk, const char *line, size_t len)
{
    static uint8_t room[BH_CHAIN_ROOM + BH_LINE_MAX];
    uint8_t mac[BH_SHA256_SIZE];
    struct bh_chain next;
    size_t body;

    if (len > BH_LINE_MAX || !bh_chain_split(line, len, &body, mac)) {
        tell(walk, true, "this is not a line of the log");
        return false;
    }
    if (walk->line == 1 && !enter_segment(walk, line))
        return false;
    memcpy(room + BH_CHAIN_ROOM, line, body);
    bh_chain_step(&walk->chain, room, body, &next);
    if (memcmp(next.mac, mac, sizeof(mac)) != 0) {
        tell(walk, true, "its mac is wrong: it was changed, or a line before it was removed, added or moved");
        return false;
    }
    walk->chain = next;
    walk->records += walk->line > 1;
    return true;
}

/* A line without its end may be one that is being written right now: it is looked at again for a while. */
static ssize_t read_line(FILE *file, char **line, size_t *cap)
{
    off_t start = ftello(file);
    ssize_t len = getline(line, cap, file);

    for (int i = 0; i < TORN_TRIES && len > 0 && (*line)[len - 1] != '\n'; i++) {
        (void)poll(NULL, 0, TORN_WAIT_MS);
        if (fseeko(file, start, SEEK_SET) < 0)
            return len;
        len = getline(line, cap, file);
    }
    return len;
}

/* What a later segment was begun behind has been counted there; at the end of all it may also have been cut.
 */
static void tell_torn(struct walk *walk, size_t len)
{
    bool last = walk->segment == walk->log.segments[walk->log.n - 1];

    walk->torn = last;
    tell(walk, last,
         "the last %zu bytes are half a line: everything was killed, or the power failed, while it was "
         "written%s",
         len, last ? "; or its end was cut off" : "");
}

static void check_lines(struct walk *walk, FILE *file)
{
    _cleanup_free_ char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    bool good = true;

    while (good && (len = read_line(file, &line, &cap)) > 0) {
        walk->line++;
        if (line[len - 1] != '\n') {
            tell_torn(walk, (size_t)len);
            return;
        }
        good = check_line(walk, line, (size_t)len);
    }
    if (!good)
        walk->run = 0; /* the chain is lost; the next segment begins anew from its run's key */
    if (good && walk->line == 0)
        tell(walk, false, "it is empty: the agent ended before it wrote a line");
}

/* The number in the name against the one before. */
static void check_number(struct walk *walk, uint64_t previous)
{
    if (previous == 0 && walk->segment > 1)
        tell(walk, false,
             "it is the oldest segment; %" PRIu64 " before it have been deleted, by age or by hand",
             walk->segment - 1);
    else if (previous != 0 && walk->segment == previous + 2)
        tell(walk, true, "the segment %" PRIu64 " before it is missing", previous + 1);
    else if (previous != 0 && walk->segment > previous + 2)
        tell(walk, true, "the segments %" PRIu64 " to %" PRIu64 " before it are missing", previous + 1,
             walk->segment - 1);
}

static void check_segment(struct walk *walk)
{
    _cleanup_fclose_ FILE *file = ctl_log_segment(&walk->log, walk->segment);
    struct bh_audit_previous end;
    int r;

    walk->line = 0;
    check_number(walk, walk->previous);
    if (!file) {
        tell(walk, true, "it cannot be opened: %s", strerror(errno));
        return;
    }
    check_lines(walk, file);
    walk->line = 0;
    r = bh_segment_end(fileno(file), &end);
    if (r < 0)
        tell(walk, true, "it cannot be read: %s", strerror(-r));
    walk->previous = walk->segment;
    walk->previous_size = end.size;
    memcpy(walk->previous_mac, end.mac, BH_SHA256_SIZE);
}

static int report(const struct walk *walk)
{
    struct json_object *all;

    if (!walk->ctl->json && walk->n_problems == 0)
        printf("%" PRIu64 " records in %zu segment%s verified\n", walk->records, walk->log.n,
               walk->log.n == 1 ? "" : "s");
    else if (!walk->ctl->json && walk->n_problems == 1 && walk->torn)
        printf("all before that is good: %" PRIu64 " records in %zu segments\n", walk->records, walk->log.n);
    else if (!walk->ctl->json)
        printf("the log is not as it was written: %" PRIu64 " problems; %" PRIu64
               " records in %zu segments are good\n",
               walk->n_problems, walk->records, walk->log.n);
    if (walk->ctl->json) {
        all = json_object_new_object();
        json_object_object_add(all, "records", json_object_new_int64((int64_t)walk->records));
        json_object_object_add(all, "segments", json_object_new_int64((int64_t)walk->log.n));
        json_object_object_add(all, "problems", json_object_get(walk->problems));
        json_object_object_add(all, "notes", json_object_get(walk->notes));
        puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(all);
    }
    return walk->n_problems == 0 ? CTL_OK : CTL_FAILED;
}

static int verify(struct walk *walk, const char *key)
{
    int r = ctl_keys_read(&walk->keys, key ? AT_FDCWD : walk->log.dir, key ? key : BH_KEYS_NAME);

    if (r < 0)
        return ctl_fail(CTL_FAILED, "the keys in %s%s%s cannot be read: %s", key ? key : walk->log.path,
                        key ? "" : "/", key ? "" : BH_KEYS_NAME, strerror(-r));
    for (size_t i = 0; i < walk->log.n; i++) {
        walk->segment = walk->log.segments[i];
        check_segment(walk);
    }
    return report(walk);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    const char *dir = NULL, *key = NULL;
    const struct ctl_option options[] = { { "--dir", NULL, &dir, NULL },
                                          { "--key", NULL, &key, NULL },
                                          { 0 } };
    struct walk walk = { .ctl = ctl };
    int status;

    if (ctl_options(ctl, &ctl_audit_verify, &argc, argv, options, &status) < 0)
        return status;
    if (argc > 0)
        return ctl_usage(&ctl_audit_verify, "%s is one word too many", argv[0]);
    walk.problems = json_object_new_array();
    walk.notes = json_object_new_array();
    status = ctl_log_open(&walk.log, ctl, dir);
    if (status == CTL_OK)
        status = verify(&walk, key);
    ctl_log_close(&walk.log);
    ctl_keys_free(&walk.keys);
    json_object_put(walk.problems);
    json_object_put(walk.notes);
    return status;
}

const struct ctl_command ctl_audit_verify = {
    .name = "audit verify",
    .summary = "prove that nobody changed the audit log",
    .usage =
        "[--dir DIR] [--key FILE]\n"
        "Checks every line of every segment. Exit status 0: nothing is wrong; 1: what is wrong, and where.\n"
        "  --dir DIR         the audit folder (default: the agent's)\n"
        "  --key FILE        a copy of its keys file, kept where the guest cannot change it",
    .run = run,
};
