"""A file system that a test may freeze, and the frozen page of an agent, written as the guard would write it."""

import contextlib
import ctypes
import os
import re
import struct
import subprocess
import time
import traceback

from harness import MIB, ROOT

THAWED, FREEZING, FROZEN = range(3)
ABOUT, IS_FROZEN = 2, 3
SIZES = {"char": 1, "uint32_t": 4, "int32_t": 4, "uint64_t": 8}
HEADERS = [(ROOT / "protocol/wire" / name).read_text() for name in ("boot.h", "frozen.h")]
NUMBERS = {name: int(number) for text in HEADERS for name, number in re.findall(r"#define (\w+) (\d+)u?\b", text)}


def layout(struct_name):
    """{field: where it lies}, and under None the size, of a struct of the frozen page."""
    text = next(text for text in HEADERS if f"struct {struct_name} {{" in text).split(f"struct {struct_name} {{")[1]
    text = re.sub(r"/\*.*?\*/", "", text.split("\n};")[0], flags=re.S)
    found, at = {}, 0
    for kind, names in re.findall(r"(\w+ \w+|\w+)\s+(\w[^;]*);", text.replace("struct ", "struct_")):
        for name in names.split(","):
            size = align = SIZES.get(kind, 0)
            if not size:  # an array of structs whose numbers have 32 bits
                size, align = layout(kind.removeprefix("struct_"))[None], 4
            at += -at % align
            found[re.match(r"\s*(\w+)", name)[1]] = at
            for words in re.findall(r"\[([^]]+)\]", name):
                size *= sum(NUMBERS.get(word) or int(word) for word in words.split(" + "))
            at += size
    found[None] = at
    return found


PAGE, MOUNT = layout("bh_frozen"), layout("bh_frozen_mount")


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout.strip()


def in_own_mounts(test):
    """Runs test(folder) in a process of its own, whose mounts nobody sees and which takes them along when it ends."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        failure = b""
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.unshare(0x20000) == 0
            assert libc.mount(b"none", b"/", None, 0x44000, None) == 0
            test()
        except BaseException:
            failure = traceback.format_exc().encode()
        while failure:
            failure = failure[os.write(write, failure):]
        os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        failure = pipe.read().decode()
    os.waitpid(pid, 0)
    assert not failure, failure


class Disk:
    """An ext4 file system in a file, mounted; thawed and gone at the end, whatever happened."""

    def __init__(self, folder, mib=64):
        self.image, self.path = folder / "image", folder / "disk"
        self.path.mkdir()
        self.image.write_bytes(b"")
        os.truncate(self.image, mib * MIB)

    def __enter__(self):
        run("mkfs.ext4", "-q", "-F", self.image)
        self.loop = run("losetup", "-f", "--show", self.image)
        try:
            run("mount", self.loop, self.path)
        except BaseException:
            run("losetup", "-d", self.loop)
            raise
        return self

    def __exit__(self, *_):
        with contextlib.suppress(subprocess.CalledProcessError):
            run("fsfreeze", "-u", self.path)
        run("umount", "-l", self.path)
        run("losetup", "-d", self.loop)

    @property
    def device(self):
        return os.stat(self.path).st_dev


class Page:
    """The frozen page of an agent, as the guard writes it."""

    def __init__(self, agent):
        place = f"/proc/{agent.process.pid}/fd"
        for name in os.listdir(place):
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(f"{place}/{name}").startswith("/memfd:bulkhead-frozen"):
                    self.fd = os.open(f"{place}/{name}", os.O_RDWR)
        assert os.fstat(self.fd).st_size in range(PAGE[None], PAGE[None] + 8)  # the end of a struct is padded

    def write(self, at, *numbers):
        os.pwrite(self.fd, struct.pack(f"={len(numbers)}I", *numbers), at)

    def say(self, state, *mounts):
        for n, (device, fate) in enumerate(mounts):
            self.write(PAGE["mounts"] + n * MOUNT[None], os.major(device), os.minor(device), fate)
        self.write(PAGE["n_mounts"], len(mounts))
        self.write(PAGE["state"], state)

    @contextlib.contextmanager
    def freeze(self, disk):
        """Says it, as the guard does; does it; undoes it, whatever happens."""
        self.say(FREEZING, (disk.device, ABOUT))
        time.sleep(0.1)
        try:
            run("fsfreeze", "-f", disk.path)
            self.say(FROZEN, (disk.device, IS_FROZEN))
            yield
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):  # the agent may have thawed it
                run("fsfreeze", "-u", disk.path)
            self.say(THAWED)
