/* workers/info: CPUs, memory blocks, and statistics, from folders and files made here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/codes.h"
#include "protocol/commands.h"
#include "protocol/wire/codec.h"
#include "workers/info/inventory.h"
#include "workers/lib/numbered.h"
#include "workers/lib/procfile.h"

#define HZ 100u
#define MAX 8u

static char base[] = "/tmp/bh-inventory-XXXXXX";
static int folder = -1;
static struct bh_arena arena;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    return ftw->level > 0 ? remove(path) : 0;
}

/* An empty folder and an empty arena for each test. */
static int begin(void **state)
{
    (void)state;
    if (folder < 0 && !mkdtemp(base))
        return -1;
    if (nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS) < 0)
        return -1;
    if (folder < 0)
        folder = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, 1u << 20);
    return folder < 0 ? -1 : 0;
}

static int leave(void **state)
{
    (void)begin(state);
    bh_arena_deinit(&arena);
    (void)close(folder);
    return rmdir(base);
}

static void put_bytes(const char *name, const char *text, size_t len)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    (void)close(fd);
}

static void put(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

static void make(const char *name)
{
    assert_int_equal(mkdirat(folder, name, 0700), 0);
}

/* A thing of sysfs: a folder and one file in it (NULL text: no file). */
static void thing(const char *name, const char *file, const char *text)
{
    char path[64];

    if (faccessat(folder, name, F_OK, 0) < 0)
        make(name);
    (void)snprintf(path, sizeof(path), "%s/%s", name, file);
    if (text)
        put(path, text);
}

static void test_read(void **state)
{
    char text[8];

    (void)state;
    put("seven", "1234567");
    assert_int_equal(bh_procfile_read(folder, "seven", text, sizeof(text)), 7);
    assert_string_equal(text, "1234567");
    put("eight", "12345678");
    assert_int_equal(bh_procfile_read(folder, "eight", text, sizeof(text)), -EFBIG);
    put("nine", "123456789");
    assert_int_equal(bh_procfile_read(folder, "nine", text, sizeof(text)), -EFBIG);
    put("empty", "");
    assert_int_equal(bh_procfile_read(folder, "empty", text, sizeof(text)), 0);
    assert_string_equal(text, "");
    put_bytes("nul", "1\0002", 3);
    assert_int_equal(bh_procfile_read(folder, "nul", text, sizeof(text)), -EBADMSG);
    assert_int_equal(bh_procfile_read(folder, "none", text, sizeof(text)), -ENOENT);
    make("folder");
    assert_int_equal(bh_procfile_read(folder, "folder", text, sizeof(text)), -EISDIR);
}

static void check_uint(const char *text, unsigned number_base, bool good, uint64_t want)
{
    uint64_t value = 77;

    assert_int_equal(bh_parse_whole_uint(text, number_base, &value), good);
    assert_int_equal(value, good ? want : 77);
}

static void test_numbers(void **state)
{
    (void)state;
    check_uint("0", 10, true, 0);
    check_uint("42\n", 10, true, 42);
    check_uint("007", 10, true, 7);
    check_uint("18446744073709551615", 10, true, UINT64_MAX);
    check_uint("18446744073709551616", 10, false, 0);
    check_uint("99999999999999999999999", 10, false, 0);
    check_uint("8000000\n", 16, true, 0x8000000);
    check_uint("fFfFfFfFfFfFfFfF", 16, true, UINT64_MAX);
    check_uint("10000000000000000", 16, false, 0);
    check_uint("0x10", 16, false, 0);
    check_uint("g", 16, false, 0);
    check_uint("a", 10, false, 0);
    check_uint("", 10, false, 0);
    check_uint("\n", 10, false, 0);
    check_uint(" 1", 10, false, 0);
    check_uint("1 ", 10, false, 0);
    check_uint("1\n\n", 10, false, 0);
    check_uint("-1", 10, false, 0);
    check_uint("+1", 10, false, 0);
}

static void test_columns(void **state)
{
    uint64_t values[3] = { 0 };

    (void)state;
    assert_int_equal(bh_parse_columns("", values, 3), 0);
    assert_int_equal(bh_parse_columns("  ", values, 3), 0);
    assert_int_equal(bh_parse_columns(" 1  22 333", values, 3), 3);
    assert_int_equal(values[1], 22);
    assert_int_equal(values[2], 333);
    assert_int_equal(bh_parse_columns(" 1 2 ", values, 3), 2);
    assert_int_equal(bh_parse_columns(" 1 2 3 4 x", values, 3), 3);
    assert_int_equal(bh_parse_columns("1", values, 3), -1);
    assert_int_equal(bh_parse_columns(" 1 x", values, 3), -1);
    assert_int_equal(bh_parse_columns(" 1 -2", values, 3), -1);
    assert_int_equal(bh_parse_columns(" 1.5", values, 3), -1);
    assert_int_equal(bh_parse_columns(" 1\t2", values, 3), -1);
    assert_int_equal(bh_parse_columns(" 18446744073709551616", values, 3), -1);
}

/* `len` bytes of `fill`, then `tail`, as the file "lines". */
static void put_long(char fill, size_t len, const char *tail)
{
    char *text = malloc(len + strlen(tail) + 1);

    memset(text, fill, len);
    strcpy(text + len, tail);
    put("lines", text);
    free(text);
}

static void check_line(struct bh_lines *lines, int want, const char *text)
{
    char *line;

    assert_int_equal(bh_lines_next(lines, &line), want);
    if (text)
        assert_string_equal(line, text);
}

static void test_lines(void **state)
{
    struct bh_lines lines;

    (void)state;
    put("lines", "a\n\nlast");
    assert_int_equal(bh_lines_open(&lines, folder, "lines"), 0);
    check_line(&lines, BH_LINE_WHOLE, "a");
    check_line(&lines, BH_LINE_WHOLE, "");
    check_line(&lines, BH_LINE_WHOLE, "last");
    check_line(&lines, BH_LINE_NONE, NULL);
    check_line(&lines, BH_LINE_NONE, NULL);
    bh_lines_close(&lines);
    put("lines", "");
    assert_int_equal(bh_lines_open(&lines, folder, "lines"), 0);
    check_line(&lines, BH_LINE_NONE, NULL);
    bh_lines_close(&lines);
    assert_int_equal(bh_lines_open(&lines, folder, "none"), -ENOENT);
}

static void test_long_lines(void **state)
{
    struct bh_lines lines;
    char *line;

    (void)state;
    for (size_t len = BH_LINE_MAX - 1; len <= BH_LINE_MAX + 1; len++) {
        put_long('x', len, "\nnext\n");
        assert_int_equal(bh_lines_open(&lines, folder, "lines"), 0);
        assert_int_equal(bh_lines_next(&lines, &line), len <= BH_LINE_MAX ? BH_LINE_WHOLE : BH_LINE_CUT);
        assert_true(strlen(line) >= BH_LINE_MAX - 1);
        check_line(&lines, BH_LINE_WHOLE, "next");
        check_line(&lines, BH_LINE_NONE, NULL);
        bh_lines_close(&lines);
    }
    put_long('x', 10 * BH_LINE_MAX, "");
    assert_int_equal(bh_lines_open(&lines, folder, "lines"), 0);
    check_line(&lines, BH_LINE_CUT, NULL);
    check_line(&lines, BH_LINE_NONE, NULL);
    bh_lines_close(&lines);
}

static void test_numbered(void **state)
{
    static const char *const names[] = { "cpu10",
                                         "cpu2",
                                         "cpu0",
                                         "cpu",
                                         "cpu01",
                                         "cpu1x",
                                         "cpufreq",
                                         "xcpu1",
                                         "cpu-1",
                                         "cpu\n",
                                         "cpu18446744073709551615",
                                         "cpu18446744073709551616" };
    struct bh_numbers numbers;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        make(names[i]);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(bh_numbered_list(folder, "cpu", 4, &arena, &numbers), 0);
        assert_int_equal(numbers.n, 4);
        assert_int_equal(numbers.number[0], 0);
        assert_int_equal(numbers.number[1], 2);
        assert_int_equal(numbers.number[2], 10);
        assert_int_equal(numbers.number[3], UINT64_MAX);
    }
    assert_int_equal(bh_numbered_list(folder, "cpu", 3, &arena, &numbers), -E2BIG);
    assert_int_equal(bh_numbered_list(folder, "memory", 3, &arena, &numbers), 0);
    assert_int_equal(numbers.n, 0);
}

/* More entries than one listing call and one block of the arena hold. */
static void test_numbered_many(void **state)
{
    struct bh_numbers numbers;
    char name[32];

    (void)state;
    for (int i = 0; i < 700; i++) {
        (void)snprintf(name, sizeof(name), "memory%d", i);
        make(name);
    }
    assert_int_equal(bh_numbered_list(folder, "memory", 700, &arena, &numbers), 0);
    assert_int_equal(numbers.n, 700);
    for (uint32_t i = 0; i < 700; i++)
        assert_int_equal(numbers.number[i], i);
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, 1000);
    assert_int_equal(bh_numbered_list(folder, "memory", 700, &arena, &numbers), -ENOMEM);
}

static void check_cpu(const struct bh_guest_logical_processor *cpu, int64_t id, bool online, bool can_offline)
{
    assert_int_equal(cpu->logical_id, id);
    assert_int_equal(cpu->online, online);
    assert_true(cpu->has_can_offline);
    assert_int_equal(cpu->can_offline, can_offline);
}

static void end_vcpus(struct bh_vcpus *vcpus)
{
    for (size_t i = 0; i < BH_VCPUS_KEPT; i++)
        if (vcpus->online[i])
            (void)close(vcpus->online[i]);
}

static void test_vcpus(void **state)
{
    struct bh_vcpus vcpus = { .folder = folder };
    struct bh_guest_get_vcpus_ret ret;

    (void)state;
    thing("cpu10", "online", "0\n");
    thing("cpu2", "online", "1\n");
    thing("cpu0", "online", NULL);
    thing("cpu4000", "online", "0\n");
    make("cpufreq");
    put("online", "0,2\n");
    for (int again = 0; again < 3; again++) {
        assert_int_equal(bh_vcpus_read(&vcpus, MAX, &arena, &ret), 0);
        assert_int_equal(ret.n_value, 4);
        check_cpu(&ret.value[0], 0, true, false);
        check_cpu(&ret.value[1], 2, again < 2, true);
        check_cpu(&ret.value[2], 10, false, true);
        check_cpu(&ret.value[3], 4000, again == 2, true);
        if (again == 1) { /* seen, though the file of one of them stays open */
            put("cpu2/online", "0\n");
            put("cpu4000/online", "1\n");
        }
    }
    assert_true(vcpus.online[2] > 0 && vcpus.online[10] > 0 && !vcpus.online[0]);
    end_vcpus(&vcpus);
}

static void test_vcpus_limit(void **state)
{
    struct bh_vcpus vcpus = { .folder = folder };
    struct bh_guest_get_vcpus_ret ret;
    char name[16];

    (void)state;
    for (unsigned i = 0; i < MAX + 1; i++) {
        (void)snprintf(name, sizeof(name), "cpu%u", i + BH_VCPUS_KEPT - 2);
        thing(name, "online", "1\n");
        assert_int_equal(bh_vcpus_read(&vcpus, MAX, &arena, &ret), i < MAX ? 0 : -E2BIG);
        if (i < MAX)
            assert_int_equal(ret.n_value, i + 1);
    }
    end_vcpus(&vcpus);
}

static void test_vcpus_odd(void **state)
{
    struct bh_vcpus vcpus = { .folder = folder };
    struct bh_guest_get_vcpus_ret ret;

    (void)state;
    assert_int_equal(bh_vcpus_read(&vcpus, MAX, &arena, &ret), 0);
    assert_int_equal(ret.n_value, 0);
    make("cpu9223372036854775808"); /* no signed number: it cannot be told */
    assert_int_equal(bh_vcpus_read(&vcpus, MAX, &arena, &ret), 0);
    assert_int_equal(ret.n_value, 0);
    thing("cpu1", "online", "");
    assert_int_equal(bh_vcpus_read(&vcpus, MAX, &arena, &ret), -EBADMSG);
    put("cpu1/online", "2\n");
    assert_int_equal(bh_vcpus_read(&vcpus, MAX, &arena, &ret), -EBADMSG);
    put("cpu1/online", "1\n");
    assert_int_equal(bh_vcpus_read(&vcpus, MAX, &arena, &ret), 0);
    assert_int_equal(ret.n_value, 1);
    put("cpu1/online", ""); /* what is kept gives nothing more: opened again, and it is no better */
    assert_int_equal(bh_vcpus_read(&vcpus, MAX, &arena, &ret), -EBADMSG);
    end_vcpus(&vcpus);
}

static void check_block(const struct bh_guest_memory_block *block, uint64_t index, bool online,
                        bool can_offline)
{
    assert_int_equal(block->phys_index, index);
    assert_int_equal(block->online, online);
    assert_true(block->has_can_offline);
    assert_int_equal(block->can_offline, can_offline);
}

static void test_memory_blocks(void **state)
{
    struct bh_guest_get_memory_blocks_ret ret;

    (void)state;
    assert_int_equal(bh_memory_blocks_read(folder, MAX, &arena, &ret), 0);
    assert_int_equal(ret.n_value, 0);
    thing("memory32", "state", "offline\n");
    thing("memory32", "removable", "1\n");
    thing("memory4", "state", "online\n");
    thing("memory4", "removable", "0\n");
    thing("memory7", "state", "going-offline\n");
    thing("memory8", "state", "online");
    make("memory5"); /* it has just gone */
    put("block_size_bytes", "8000000\n");
    assert_int_equal(bh_memory_blocks_read(folder, 5, &arena, &ret), 0);
    assert_int_equal(ret.n_value, 4);
    check_block(&ret.value[0], 4, true, false);
    check_block(&ret.value[1], 7, false, false);
    check_block(&ret.value[2], 8, true, false);
    check_block(&ret.value[3], 32, false, true);
    assert_int_equal(bh_memory_blocks_read(folder, 4, &arena, &ret), -E2BIG);
    put("memory8/removable", "maybe\n");
    assert_int_equal(bh_memory_blocks_read(folder, 5, &arena, &ret), -EBADMSG);
    put("memory8/state", "a state of which nobody has heard until now\n");
    assert_int_equal(bh_memory_blocks_read(folder, 5, &arena, &ret), -EFBIG);
}

static void check_size(const char *text, int want, uint64_t size)
{
    uint64_t value = 77;

    put("size", text);
    assert_int_equal(bh_memory_block_size_read(folder, "size", &value), want);
    assert_int_equal(value, want ? 77 : size);
}

static void test_memory_block_size(void **state)
{
    uint64_t value;

    (void)state;
    check_size("8000000\n", 0, 134217728);
    check_size("100", 0, 256);
    check_size("FFFFFFFFFFFFFFFF\n", 0, UINT64_MAX);
    check_size("10000000000000000\n", -EBADMSG, 0);
    check_size("", -EBADMSG, 0);
    check_size("0x8000000\n", -EBADMSG, 0);
    check_size("8000000 bytes\n", -EBADMSG, 0);
    check_size("-1\n", -EBADMSG, 0);
    check_size("00000000000000000000000000000001\n", -EFBIG, 0);
    assert_int_equal(bh_memory_block_size_read(folder, "none", &value), -ENOENT);
}

static struct bh_guest_get_cpustats_ret cpustats(const char *text, int want)
{
    struct bh_guest_get_cpustats_ret ret = { 0 };

    put("stat", text);
    assert_int_equal(bh_cpustats_read(folder, "stat", HZ, MAX, &arena, &ret), want);
    return ret;
}

static void test_cpustats(void **state)
{
    struct bh_guest_get_cpustats_ret ret = cpustats("cpu  9 9 9 9 9 9 9 9 9 9\n"
                                                    "cpu0 1 2 3 4 5 6 7 8 9 10\n"
                                                    "cpu2 11 12 13 14 15 16 17 18 19 20\n"
                                                    "intr 5\ncpu3 1 1 1 1\n",
                                                    0);
    const struct bh_guest_cpu_stats *cpu = ret.value;

    (void)state;
    assert_int_equal(ret.n_value, 2);
    assert_int_equal(cpu->type, BH_GUEST_CPU_STATS_TYPE_LINUX);
    assert_int_equal(cpu->cpu, 0);
    assert_int_equal(cpu->user, 10);
    assert_int_equal(cpu->nice, 20);
    assert_int_equal(cpu->system, 30);
    assert_int_equal(cpu->idle, 40);
    assert_true(cpu->has_iowait && cpu->has_irq && cpu->has_softirq && cpu->has_steal);
    assert_int_equal(cpu->iowait, 50);
    assert_int_equal(cpu->irq, 60);
    assert_int_equal(cpu->softirq, 70);
    assert_int_equal(cpu->steal, 80);
    assert_true(cpu->has_guest && cpu->has_guestnice);
    assert_int_equal(cpu->guest, 90);
    assert_int_equal(cpu->guestnice, 100);
    assert_int_equal(cpu[1].cpu, 2);
    assert_int_equal(cpu[1].guestnice, 200);
}

/* Each column after the fourth may be missing, and the columns behind it. */
static void test_cpustats_columns(void **state)
{
    char text[64] = "cpu7 1 1 1";
    struct bh_guest_get_cpustats_ret ret = cpustats(text, 0);

    (void)state;
    assert_int_equal(ret.n_value, 0);
    for (int n = 4; n <= 11; n++) {
        strcat(text, " 1");
        ret = cpustats(text, 0);
        assert_int_equal(ret.n_value, 1);
        assert_int_equal(ret.value[0].has_iowait, n >= 5);
        assert_int_equal(ret.value[0].has_irq, n >= 6);
        assert_int_equal(ret.value[0].has_softirq, n >= 7);
        assert_int_equal(ret.value[0].has_steal, n >= 8);
        assert_int_equal(ret.value[0].has_guest, n >= 9);
        assert_int_equal(ret.value[0].has_guestnice, n >= 10);
    }
}

static void test_cpustats_odd(void **state)
{
    struct bh_guest_get_cpustats_ret ret;

    (void)state;
    assert_int_equal(cpustats("", 0).n_value, 0);
    assert_int_equal(cpustats("intr 1 2 3\n", 0).n_value, 0);
    assert_int_equal(cpustats("cpu", 0).n_value, 0);
    assert_int_equal(cpustats("cpux 1 1 1 1\ncpu1x 1 1 1 1\ncpu 1 1 1 1\n", 0).n_value, 0);
    assert_int_equal(cpustats("cpu1 1 1 1 x\ncpu1 1 1 1 -1\n", 0).n_value, 0);
    assert_int_equal(cpustats("cpu9223372036854775808 1 1 1 1\n", 0).n_value, 0);
    assert_int_equal(cpustats("cpu1 1 1 1 18446744073709551616\n", 0).n_value, 0);
    ret =
        cpustats("cpu9223372036854775807 18446744073709551615 1844674407370955161 1844674407370955162 0", 0);
    assert_int_equal(ret.n_value, 1);
    assert_int_equal(ret.value[0].cpu, INT64_MAX);
    assert_int_equal(ret.value[0].user, UINT64_MAX);
    assert_int_equal(ret.value[0].nice, UINT64_C(18446744073709551610));
    assert_int_equal(ret.value[0].system, UINT64_MAX);
    assert_int_equal(bh_cpustats_read(folder, "none", HZ, MAX, &arena, &ret), -ENOENT);
}

/* Ticks that do not divide a second: rounded down, never by way of an overflow. */
static void test_cpustats_other_clock(void **state)
{
    struct bh_guest_get_cpustats_ret ret;

    (void)state;
    put("stat", "cpu0 1 1024 1025 2049\n");
    assert_int_equal(bh_cpustats_read(folder, "stat", 1024, MAX, &arena, &ret), 0);
    assert_int_equal(ret.value[0].user, 0);
    assert_int_equal(ret.value[0].nice, 1000);
    assert_int_equal(ret.value[0].system, 1000);
    assert_int_equal(ret.value[0].idle, 2000);
}

static void test_cpustats_limit(void **state)
{
    char text[512] = "";

    (void)state;
    for (unsigned i = 0; i < MAX; i++)
        (void)sprintf(text + strlen(text), "cpu%u 1 1 1 1\n", i);
    assert_int_equal(cpustats(text, 0).n_value, MAX);
    strcat(text, "cpu99 1 1 1 1\n");
    (void)cpustats(text, -E2BIG);
}

/* Lines longer than any that we know: one among the CPUs is passed over, the one behind them ends it. */
static void test_cpustats_long(void **state)
{
    struct bh_guest_get_cpustats_ret ret = { 0 };
    char *text = malloc(3 * BH_LINE_MAX + 64);

    (void)state;
    strcpy(text, "cpu0 1 1 1 1\ncpu1");
    for (unsigned i = 0; i < BH_LINE_MAX; i++)
        strcat(text, " 1");
    strcat(text, "\ncpu2 1 1 1 1\nintr ");
    ret = cpustats(text, 0);
    free(text);
    assert_int_equal(ret.n_value, 2);
    assert_int_equal(ret.value[1].cpu, 2);
}

static struct bh_guest_get_diskstats_ret diskstats(const char *text, int want)
{
    struct bh_guest_get_diskstats_ret ret = { 0 };

    put("diskstats", text);
    assert_int_equal(bh_diskstats_read(folder, "diskstats", MAX, &arena, &ret), want);
    return ret;
}

static void check_layout(const struct bh_guest_disk_stats *s, bool merges, bool discards, bool flushes)
{
    assert_true(s->has_read_ios && s->has_read_sectors && s->has_write_ios && s->has_write_sectors);
    assert_true(s->has_read_merges == merges && s->has_read_ticks == merges &&
                s->has_write_merges == merges && s->has_write_ticks == merges && s->has_ios_pgr == merges &&
                s->has_total_ticks == merges && s->has_weight_ticks == merges);
    assert_true(s->has_discard_ios == discards && s->has_discard_merges == discards &&
                s->has_discard_sectors == discards && s->has_discard_ticks == discards);
    assert_true(s->has_flush_ios == flushes && s->has_flush_ticks == flushes);
}

static void test_diskstats(void **state)
{
    struct bh_guest_get_diskstats_ret ret =
        diskstats("   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n", 0);
    const struct bh_guest_disk_stats *s = &ret.value[0].stats;

    (void)state;
    assert_int_equal(ret.n_value, 1);
    assert_string_equal(ret.value[0].name.ptr, "sda");
    assert_int_equal(ret.value[0].major, 8);
    assert_int_equal(ret.value[0].minor, 0);
    check_layout(s, true, true, true);
    assert_true(s->read_ios == 1 && s->read_merges == 2 && s->read_sectors == 3 && s->read_ticks == 4);
    assert_true(s->write_ios == 5 && s->write_merges == 6 && s->write_sectors == 7 && s->write_ticks == 8);
    assert_true(s->ios_pgr == 9 && s->total_ticks == 10 && s->weight_ticks == 11);
    assert_true(s->discard_ios == 12 && s->discard_merges == 13 && s->discard_sectors == 14 &&
                s->discard_ticks == 15);
    assert_true(s->flush_ios == 16 && s->flush_ticks == 17);
    ret = diskstats("   8       1 sda1 1 2 3 4\n", 0);
    s = &ret.value[0].stats;
    check_layout(s, false, false, false);
    assert_true(s->read_ios == 1 && s->read_sectors == 2 && s->write_ios == 3 && s->write_sectors == 4);
}

/* A line of so many columns in all, the three of its name included. */
static void test_diskstats_columns(void **state)
{
    char text[128] = "8 0 sda";

    (void)state;
    for (int columns = 4; columns <= 24; columns++) {
        struct bh_guest_get_diskstats_ret ret;

        strcat(text, " 1");
        ret = diskstats(text, 0);
        assert_int_equal(ret.n_value, columns == 7 || columns >= 14);
        if (ret.n_value)
            check_layout(&ret.value[0].stats, columns >= 14, columns >= 18, columns >= 20);
    }
}

static void test_diskstats_odd(void **state)
{
    char text[512];

    (void)state;
    assert_int_equal(diskstats("", 0).n_value, 0);
    assert_int_equal(diskstats("\n \n8\n8 0\n8 0 sda\n8 0  \n", 0).n_value, 0);
    assert_int_equal(diskstats("x 0 sda 1 2 3 4\n8 x sda 1 2 3 4\n8 0 sda 1 2 3 x\n", 0).n_value, 0);
    assert_int_equal(diskstats("8sda 0 sda 1 2 3 4\n8 0x sda 1 2 3 4\n", 0).n_value, 0);
    assert_int_equal(diskstats("8 0 sda 1 2 3 18446744073709551616\n8 0 sda 1 2 3 -4\n", 0).n_value, 0);
    assert_int_equal(diskstats("8 0 s\377a 1 2 3 4\n", 0).n_value, 0);
    assert_int_equal(diskstats("8 0 x 1 2 3 4\n8 1 sda 1 2 3 18446744073709551615\n9 0 y", 0).n_value, 2);
    for (int len = 254; len <= 256; len++) {
        memset(text, 0, sizeof(text));
        strcpy(text, "8 0 ");
        memset(text + 4, 'n', (size_t)len);
        strcat(text, " 1 2 3 4\n");
        assert_int_equal(diskstats(text, 0).n_value, len <= 255);
    }
}

static void test_diskstats_limit(void **state)
{
    struct bh_guest_get_diskstats_ret ret;
    char text[512] = "";

    (void)state;
    for (unsigned i = 0; i < MAX; i++)
        (void)sprintf(text + strlen(text), "7 %u loop%u 0 0 0 0\n", i, i);
    ret = diskstats(text, 0);
    assert_int_equal(ret.n_value, MAX);
    assert_string_equal(ret.value[MAX - 1].name.ptr, "loop7");
    strcat(text, "odd line\n");
    assert_int_equal(diskstats(text, 0).n_value, MAX);
    strcat(text, "7 9 loop9 0 0 0 0\n");
    (void)diskstats(text, -E2BIG);
    assert_int_equal(bh_diskstats_read(folder, "none", MAX, &arena, &ret), -ENOENT);
}

/* Everything that `type` can hold, at its longest. */
static void fill(const struct bh_type *type, char *value)
{
    static char longest[4096];

    memset(longest, 'n', sizeof(longest));
    for (uint32_t i = 0; i < type->n_fields; i++) {
        const struct bh_field *field = &type->fields[i];
        struct bh_str str = { longest, (uint32_t)field->limit };

        if (field->flags & BH_FIELD_OPTIONAL)
            value[field->has] = 1;
        if (field->kind == BH_KIND_STRUCT)
            fill(field->of.type, value + field->offset);
        if (field->kind == BH_KIND_STR)
            memcpy(value + field->offset, &str, sizeof(str));
    }
}

/* As many elements as the schema allows fit into the reply and the memory that it allows; one more does not.
 */
static void check_full_list(enum bh_command_id id)
{
    const struct bh_command *command = &bh_commands[id];
    const struct bh_field *list = &command->ret->fields[0];
    const struct bh_call call = { .command = command };
    const uint32_t most = bh_most_items(&call), more = most + 1;
    char ret[64] = { 0 }, *elements = calloc(more, list->of.type->size);
    struct bh_bytes bytes;

    assert_non_null(elements);
    for (uint32_t i = 0; i < more; i++)
        fill(list->of.type, elements + (size_t)i * list->of.type->size);
    memcpy(ret + list->offset, &elements, sizeof(elements));
    memcpy(ret + list->count, &most, sizeof(most));
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, BH_WORKER_ARENA_MAX - 3u * most * list->of.type->size); /* what growing takes */
    assert_int_equal(bh_encode(command->ret, ret, command->reply_max, &arena, &bytes), 0);
    memcpy(ret + list->count, &more, sizeof(more));
    assert_int_equal(bh_encode(command->ret, ret, command->reply_max, &arena, &bytes), -E2BIG);
    free(elements);
}

static void test_full_lists(void **state)
{
    (void)state;
    check_full_list(BH_CMD_GUEST_GET_VCPUS);
    check_full_list(BH_CMD_GUEST_GET_MEMORY_BLOCKS);
    check_full_list(BH_CMD_GUEST_GET_CPUSTATS);
    check_full_list(BH_CMD_GUEST_GET_DISKSTATS);
}

/* What the client is told of each outcome. */
static void test_answers(void **state)
{
    struct bh_error error = { 0 };
    struct bh_call call = { .command = &bh_commands[BH_CMD_GUEST_GET_VCPUS], .error = &error };

    (void)state;
    assert_int_equal(bh_procfile_done(&call, "/x", 0), 0);
    assert_int_equal(error.code, 0);
    assert_int_equal(bh_procfile_done(&call, "/x", -E2BIG), BH_E_REPLY_TOO_LARGE);
    assert_string_equal(error.text, "/x tells of more than the 8192 that an answer may hold");
    assert_int_equal(bh_procfile_done(&call, "/x", -EACCES), BH_E_KERNEL);
    assert_string_equal(error.text, "cannot read /x: Permission denied");
}

#define T(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_full_lists),     T(test_answers),
        T(test_read),           T(test_numbers),
        T(test_columns),        T(test_lines),
        T(test_long_lines),     T(test_numbered),
        T(test_numbered_many),  T(test_vcpus),
        T(test_vcpus_limit),    T(test_vcpus_odd),
        T(test_memory_blocks),  T(test_memory_block_size),
        T(test_cpustats),       T(test_cpustats_columns),
        T(test_cpustats_odd),   T(test_cpustats_other_clock),
        T(test_cpustats_limit), T(test_cpustats_long),
        T(test_diskstats),      T(test_diskstats_columns),
        T(test_diskstats_odd),  T(test_diskstats_limit),
    };

    return cmocka_run_group_tests(tests, NULL, leave);
}
