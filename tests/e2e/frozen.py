"""A file system that a test may freeze, and the frozen page of an agent, written as the guard would write it."""

import contextlib
import ctypes
import os
import struct
import subprocess
import time
import traceback

from harness import MIB

THAWED, FREEZING, FROZEN = range(3)
ABOUT, IS_FROZEN = 2, 3
STATE, N_MOUNTS, MOUNTS, MOUNT_SIZE = 4, 132, 136, 1048  # where they lie in struct bh_frozen


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
        pid = agent.process.pid
        names = [name for name in os.listdir(f"/proc/{pid}/fd")
                 if os.readlink(f"/proc/{pid}/fd/{name}").startswith("/memfd:bulkhead-frozen")]
        self.fd = os.open(f"/proc/{pid}/fd/{names[0]}", os.O_RDWR)

    def say(self, state, *mounts):
        for at, (device, fate) in enumerate(mounts):
            os.pwrite(self.fd, struct.pack("=III", os.major(device), os.minor(device), fate), MOUNTS + at * MOUNT_SIZE)
        os.pwrite(self.fd, struct.pack("=I", len(mounts)), N_MOUNTS)
        os.pwrite(self.fd, struct.pack("=I", state), STATE)

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
            run("fsfreeze", "-u", disk.path)
            self.say(THAWED)
