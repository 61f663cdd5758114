"""File systems that a test may freeze: images of its own on loop devices, and what the kernel says of them.

To freeze "/" is to hang the machine, so it takes several mistakes at once here. All is done in a mount namespace of the
test's own, an agent gets a policy whose freeze rules speak of the test's folder only, qemu-ga is asked to freeze by name
only (Peer's client refuses anything else), and whatever became of a test, its file systems are thawed before they are
unmounted, and after PATIENCE seconds in any case. A process beside it all thaws "/" should it ever be frozen, and the
test that did it fails.
"""

import ctypes
import errno
import fcntl
import json
import os
import pathlib
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

from harness import Agent, Client, Peer, wait_for

FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
CLONE_NEWNS, MS_REC, MS_PRIVATE, MNT_DETACH = 0x20000, 0x4000, 0x40000, 2
MIB = 1024 * 1024
PATIENCE = 60
MAKE = {"ext4": (16, "mkfs.ext4 -q -F"), "ext2": (4, "mkfs.ext2 -q -F"), "xfs": (300, "mkfs.xfs -q"),
        "btrfs": (128, "mkfs.btrfs -q"), "vfat": (4, "mkfs.vfat"), "squashfs": (0, None)}
SIX = {"guest-sync", "guest-sync-delimited", "guest-ping", "guest-info", "guest-fsfreeze-status", "guest-fsfreeze-thaw"}
FATES = {1: "skipped", 2: "about", 3: "frozen", 4: "thawed"}
STATES = ["thawed", "freezing", "frozen", "thawing"]


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def knows(kind):
    """Can this machine make and mount such a file system?"""
    program = (MAKE[kind][1] or "mksquashfs").split()[0]
    return shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin") and \
        re.search(rf"^\t{kind}$", pathlib.Path("/proc/filesystems").read_text(), re.M)


def said(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


class OwnMounts:
    """A mount namespace for this process and those that it starts, until leave()."""

    libc = ctypes.CDLL(None, use_errno=True)

    def __init__(self):
        self.before = os.open("/proc/self/ns/mnt", os.O_RDONLY)
        said(self.libc.unshare(CLONE_NEWNS), "unshare")
        said(self.libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount")
        for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
            if line.startswith("/dev/loop"):  # somebody else's: not to be kept busy, not to be frozen
                self.libc.umount2(line.split()[1].encode(), MNT_DETACH)

    def leave(self):
        """A thread that has been joined may still be there for an instant, and the kernel wants none."""
        wait_for(lambda: self.libc.setns(self.before, CLONE_NEWNS) == 0, 5, "the old mount namespace")
        os.close(self.before)


WATCH = """
import fcntl, os, time
try:
    import ctypes
    ctypes.CDLL(None).mlockall(3)
finally:
    root = os.open("/", os.O_RDONLY)
while os.getppid() == %d:
    try:
        fcntl.ioctl(root, %d, 0)
        os.write(1, b"!")
    except OSError:
        pass
    time.sleep(0.5)
"""


class Lifeline:
    """A process that thaws "/" and tells of it."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-I", "-S", "-c", WATCH % (os.getpid(), FITHAW)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def was_needed(self):
        return bool(select.select([self.process.stdout], [], [], 0)[0])

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Mount:
    """A place where one of the file systems is mounted. A descriptor of it is kept: it may be hidden, or moved."""

    def __init__(self, path):
        self.path = str(path)
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        assert os.fstat(self.fd).st_dev != os.stat("/").st_dev, f"{path} is not of the test's own"

    def ask(self, request):
        """errno of FIFREEZE or FITHAW; 0 = done."""
        try:
            fcntl.ioctl(self.fd, request, 0)
        except OSError as error:
            return error.errno
        return 0

    def freeze(self):
        assert self.ask(FIFREEZE) == 0, self.path

    def thaw(self):
        """True if it was frozen."""
        return self.fd >= 0 and self.ask(FITHAW) == 0

    def frozen(self):
        """What the kernel says. What is thawed is frozen for an instant, so nobody else may be freezing, nor what lies
        below it be frozen."""
        result = self.ask(FIFREEZE)
        if result == 0:
            self.thaw()
        assert result in (0, errno.EBUSY, errno.EOPNOTSUPP), os.strerror(result)
        return result == errno.EBUSY

    def file(self, name):
        return pathlib.Path(f"{self.path}/{name}")

    def dirty(self, data):
        """Leaves something to be written when it is frozen."""
        fd = os.open("dirty", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=self.fd)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


class Writer:
    """A process that writes a file."""

    def __init__(self, path, data):
        self.path, self.data = pathlib.Path(path), data
        self.process = subprocess.Popen(["dd", f"of={path}", "conv=fsync", "status=none"], stdin=subprocess.PIPE)
        self.process.stdin.write(data)
        self.process.stdin.close()

    def is_blocked(self, seconds=0.25):
        """It has not written after so long, and waits in the kernel."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "D"
        return False

    def finish(self):
        assert self.process.wait(10) == 0
        assert self.path.read_bytes() == self.data


class NamedOnly(Client):
    """A connection to qemu-ga, over which nothing is frozen that the test has not mounted."""

    def __init__(self, path, timeout, world):
        super().__init__(path, timeout)
        self.world, self.harmless = world, True  # by what send() looks at

    def send(self, data):
        if b"fsfreeze-freeze" in data:
            request = json.loads(data)
            places = request["arguments"]["mountpoints"]
            assert request["execute"] == "guest-fsfreeze-freeze-list" and isinstance(places, list) and places
            for place in places:
                assert f"{place}/".startswith(f"{self.world.path}/") and "/../" not in place, place
                assert not os.path.exists(place) or os.stat(place).st_dev != os.stat("/").st_dev, place
        super().send(data)


class NamedPeer(Peer):
    """qemu-ga."""

    def __init__(self, folder, world):
        super().__init__(folder)
        self.world = world

    def client(self, timeout=20.0):
        return NamedOnly(self.socket, timeout, self.world)


class World:
    """A folder in memory with mounts, agents and all that has to be put in order again."""

    def __init__(self, lifeline, files):
        self.lifeline, self.files = lifeline, pathlib.Path(files)  # `files`: where images lie
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="bh-", dir="/dev/shm"))
        self.path.chmod(0o755)
        self.agents, self.mounts, self.places = [], [], []
        self.namespace = OwnMounts()
        self.late = False
        self.timer = threading.Timer(PATIENCE, self.give_up)
        self.timer.start()

    def give_up(self):
        """The test hangs, maybe itself in the kernel."""
        self.late = True
        for _ in range(100):
            self.thaw()
            time.sleep(0.05)

    # Mounts.

    def place(self, name):
        path = self.path / name if not str(name).startswith("/") else pathlib.Path(name)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def mount(self, *arguments, at):
        run("mount", *arguments, at)
        self.places.append(str(at))
        return self.note(at)

    def note(self, at):
        mount = Mount(at)
        self.mounts.append(mount)
        return mount

    def image(self, name, kind="ext4", below=None):
        """A new image, in `files` or in the folder `below`."""
        path = pathlib.Path(below or self.files) / f"{name.replace('/', '-')}.img"
        mib, make = MAKE[kind]
        if kind == "squashfs":
            run("mksquashfs", "/usr/share/doc/util-linux", path, "-quiet", "-no-progress")
            return path
        with open(path, "wb") as file:
            file.truncate(mib * MIB)
        run(*make.split(), path)
        return path

    def new(self, name, kind="ext4", below=None, at=None):
        """A new file system, mounted."""
        return self.mount("-o", "loop", self.image(name, kind, below), at=self.place(at or name))

    def bind(self, source, name):
        return self.mount("--bind", getattr(source, "path", source), at=self.place(name))

    # Agents.

    def policy(self, *lines, freeze=None):
        """The text of a policy that freezes below the test's folder only, by rules whose bodies are `freeze`."""
        bodies = [freeze] if isinstance(freeze, str) else freeze or [f'mount beneath "{self.path}"']
        text = "\n".join(lines)
        assert not re.search(r"\buse\b|\ballow\b[^\n]*(@freeze|fsfreeze-freeze)", text), "the freeze rules are built here"
        for body in bodies:
            assert re.search(r"\bmount\b", body)
            assert all(path == str(self.path) or path.startswith(f"{self.path}/") for path in re.findall(r'"([^"]*)"', body))
        channels = " on alpha" if "\nchannel alpha " in "\n" + text else ""
        rules = "\n".join(f"rule mine{number}: allow @freeze{channels} {{\n{body}\n}}" for number, body in enumerate(bodies))
        return f"policy 1\ncommands 49\n{text}\n{rules}\n"

    def agent(self, *lines, freeze=None, name=None):
        """An agent, not started. Without lines it may look around beside."""
        agent = Agent(self.path / (name or f"agent{len(self.agents)}"),
                      self.policy(*(lines or ["allow @sync, @info"]), freeze=freeze))
        self.agents.append(agent)
        return agent

    def start(self, *lines, **more):
        agent = self.agent(*lines, **more).start()
        assert agent.status()["policy"]["state"] == "loaded", agent.log_text()
        return agent

    def peer(self):
        agent = NamedPeer(self.path / "peer", self)
        self.agents.append(agent)
        return agent.start()

    # The end.

    def thaw(self):
        """Whatever is frozen, and by whom; True if something was."""
        return any([mount.thaw() for mount in self.mounts])

    def frozen(self):
        return [mount.path for mount in self.mounts if mount.frozen()]

    def stop_agents(self):
        for agent in reversed(self.agents):
            try:
                self.thaw()
                agent.stop()
            finally:
                self.thaw()

    def unmount(self):
        """The last first: it may lie on another, or be hidden below one."""
        for mount in reversed(self.mounts):
            mount.thaw()
            mount.close()
        for place in reversed(self.places):
            subprocess.run(["umount", place], capture_output=True)
            subprocess.run(["umount", "-l", place], capture_output=True)

    def close(self):
        try:
            self.stop_agents()
        finally:
            self.timer.cancel()
            self.timer.join()
            self.unmount()
            self.namespace.leave()
            shutil.rmtree(self.path, ignore_errors=True)
        assert not self.late, f"this test took more than {PATIENCE} s"
        assert not self.lifeline.was_needed(), "this test froze the root file system"


# The record of a freeze in the state folder (protocol/wire/frozen.h).

HEAD = struct.Struct("@II40s256s4II32s4QII")
MOUNT = struct.Struct("@IIIiII1024s")


def text_of(data):
    return data.split(b"\0")[0].decode()


def record(agent):
    data = (agent.folder / "bulkhead" / "frozen").read_bytes()
    if not data:
        return None
    fields = HEAD.unpack_from(data)
    names = ["magic", "state", "boot", "slots", "lease", "hold", "hooks", "owed", "n", "channel", "began", "frozen",
             "thawed", "lease_end", "cause", "untold"]
    row = dict(zip(names, fields))
    row.update(state=STATES[row["state"]], channel=text_of(row["channel"]))
    row["mounts"] = {text_of(path): (FATES[fate], error) for _, _, fate, error, _, _, path in
                     (MOUNT.unpack_from(data, HEAD.size + number * MOUNT.size) for number in range(row["n"]))}
    return row


def wait_until_thawed(mounts, seconds):
    """How long it took until the kernel had thawed all of them."""
    began = time.monotonic()
    while any(mount.frozen() for mount in mounts):
        assert time.monotonic() - began < seconds, f"still frozen after {seconds} s: {[m.path for m in mounts if m.frozen()]}"
        time.sleep(0.01)
    return time.monotonic() - began
