"""Every filter against a model of its table, with real system calls.

The model is computed here from the rows alone; the filter went through libseccomp and
our prologue. Of a deny-list only what it denies is tried: the rest would be done. All numbers up to 64 above the newest known are tried natively, as x32 and
a few through int 0x80; each checked argument is tried with every bit of its mask flipped.
"""

import errno
import pathlib
import platform
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import build

SIGSYS = 31
X32 = 0x40000000
ONES = (1 << 64) - 1
# Allowed calls that cannot be tried: they return into a frame that is not there, wait for ever or for others' file systems, or
# leave something behind.
NOT_TRIED = {"rt_sigreturn", "vfork", "pause", "sync", "msgget"}
# uretprobe and uprobe: Linux 6.14 and newer lets them past every filter, because a traced process makes them without
# knowing. Outside of a trampoline of the kernel's they do nothing but SIGILL or ENXIO.
PAST_EVERY_FILTER = {335: "signal 4", 336: f"exit {errno.ENXIO}"}

# Commands of ioctl that a process with SYS_ADMIN could do harm with, or read what it should not; and who may give which.
FIFREEZE, FITHAW, FITRIM = 0xc0045877, 0xc0045878, 0xc0185879
NVME_ADMIN = 0xc0484e41
IOCTLS = {
    FIFREEZE, FITHAW, FITRIM, 1,  # FIBMAP
    NVME_ADMIN, 0xc0484e43, 0x4e44,  # NVME_IOCTL_IO_CMD, NVME_IOCTL_RESET
    0x5412, 0x4c00, 0x1261, 0x127f,  # TIOCSTI, LOOP_SET_FD, BLKFLSBUF, BLKZEROOUT
    0x40086602, 0x40049409, 0x8004587d, 0x5000940f,  # FS_IOC_SETFLAGS, FICLONE, FS_IOC_SHUTDOWN, BTRFS_IOC_SNAP_DESTROY
    FITHAW ^ 1 << 30, FITHAW | 0xff00, 0x5878, 0, 0xffffffff,
}
MAY_IOCTL = {"storage": {FIFREEZE, FITHAW, FITRIM}, "thaw": {FITHAW}, "smart": {NVME_ADMIN}}

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the probe speaks x86-64")


KILLED, REFUSED, ALLOWED = range(3)  # what becomes of a call that is not listed


class Table:
    """The rows of one profile: number -> (name, errno, alternatives of conditions)."""

    def __init__(self, name):
        self.rows = {}
        for line in build.filtergen("--probe-list", name).splitlines():
            kind, *rest = line.split()
            if kind == "newest":
                self.newest = int(rest[0])
                continue
            if kind == "unlisted":
                self.unlisted = int(rest[0])
                continue
            number, call, error, *conditions = rest
            parsed = [tuple(int(x, 16) for x in c.split(":")) for c in conditions]
            self.rows.setdefault(int(number), (call, int(error), []))[2].append(parsed)

    def expected(self, number, args):
        if number > self.newest:
            return f"exit {errno.ENOSYS}"
        _, error, alternatives = self.rows.get(number, ("", 0, []))
        for conditions in alternatives:
            if all(args[i] & mask == value for i, mask, value in conditions):
                return f"exit {error}" if error else "allowed"
        return [f"signal {SIGSYS}", f"exit {errno.EPERM}", "allowed"][self.unlisted]

    def is_tried(self, number, wanted):
        if number in self.rows and self.rows[number][0] in NOT_TRIED:
            return False
        return wanted != "allowed" or (number in self.rows and self.unlisted != ALLOWED)


def allowed_args(conditions):
    """All ones (no valid pointer, descriptor or size), but what the conditions ask for."""
    args = [ONES] * 6
    for i, mask, value in conditions:
        args[i] = (ONES & ~mask) | value
    return args


def native_cases(table):
    for number in range(table.newest + 65):
        _, _, alternatives = table.rows.get(number, ("", 0, [[]]))
        for conditions in alternatives:
            args = allowed_args(conditions)
            yield number, args, True
            for i, mask, _ in conditions:
                for bit in (1 << b for b in range(64) if mask >> b & 1):
                    yield number, [*args[:i], args[i] ^ bit, *args[i + 1:]], False


def foreign_cases(table):
    """Kills; a deny-list says the same to all: ptrace, swapon, keyctl and bpf as x32 and i386 number them."""
    if table.unlisted == ALLOWED:
        if "ptrace" in {call for call, *_ in table.rows.values()}:
            yield from (("n", number | X32, [ONES] * 6, f"exit {errno.EPERM}") for number in (521, 167, 250, 321))
            yield from (("i", number, [0] * 6, f"exit {errno.EPERM}") for number in (26, 87, 288, 357))
        return
    for number in range(table.newest + 65):
        yield "n", number | X32, [ONES] * 6, f"signal {SIGSYS}"
    for number in (1, 3, 4, 5, 11, 20, 102, 120, 295):
        yield "i", number, [0] * 6, f"signal {SIGSYS}"


def cases(table):
    """(mode, number, arguments, expectation)"""
    for number, args, is_row in native_cases(table):
        wanted = table.expected(number, args)
        if table.is_tried(number, wanted) and (is_row or wanted != "allowed"):
            yield "n", number, args, wanted
    yield from foreign_cases(table)


def matches(number, answer, wanted):
    if answer == PAST_EVERY_FILTER.get(number):
        return True
    return answer == wanted or (wanted == "allowed" and answer.startswith("exit ") and answer != "exit 250")


def probe(name, tried):
    """What came of each, in words."""
    lines = "".join(f"{mode} {number:x} {' '.join(f'{a:x}' for a in args)}\n" for mode, number, args in tried)
    run = subprocess.run([build.BUILD / "tests/confine/try-syscall", name], input=lines, capture_output=True,
                         text=True, check=True, timeout=60)
    answers = run.stdout.splitlines()
    assert len(answers) == len(tried)
    return answers


@pytest.mark.parametrize("name", build.PROFILES)
def test_filter_does_what_the_table_says(name):
    table = Table(name)
    tried = list(cases(table))
    answers = probe(name, [case[:3] for case in tried])
    wrong = [f"{mode} {number} {args}: {answer}, not {wanted}"
             for (mode, number, args, wanted), answer in zip(tried, answers) if not matches(number, answer, wanted)]
    assert not wrong, "\n".join(wrong[:20])
    refused = sum(wanted != "allowed" for *_, wanted in tried)
    assert refused > (30 if table.unlisted == ALLOWED else 800) or name.startswith("no_"), "too few refusals tried"


@pytest.mark.parametrize("name", [name for name in build.PROCESSES if name != "exec"])
def test_ioctl_takes_these_commands_and_no_other(name):
    """Not computed from the table, so a row too many is seen. The kernel looks at the command's lower half only."""
    number = 16
    tried = [("n", number, [ONES, high << 32 | command, ONES, ONES, ONES, ONES])
             for command in sorted(IOCTLS) for high in (0, 1, 0xdeadbeef, 0xffffffff)]
    wrong = [f"{args[1]:#x}: {answer}" for (_, _, args), answer in zip(tried, probe(name, tried))
             if (answer == f"exit {errno.EBADF}") != (args[1] & 0xffffffff in MAY_IOCTL.get(name, ()))
             or answer not in (f"exit {errno.EBADF}", f"signal {SIGSYS}")]
    assert not wrong
