"""A mount namespace for a test, with file systems of its own on loop devices, made from images in the test's folder.

A process holds it; agents are started into it with the prefix that `enter` gives. The loop devices go when it goes.
Nobody may trim or freeze here: the machine's own file systems are mounted in it too.
"""

import pathlib
import shutil
import subprocess

MIB = 1024 * 1024
SIZES = {"ext4": 16, "xfs": 320, "btrfs": 128}  # MiB that each takes at least; the images are sparse


def kinds():
    """File systems that this machine can make and its kernel knows."""
    known = pathlib.Path("/proc/filesystems").read_text().split()
    return [kind for kind in SIZES if kind in known and shutil.which(f"mkfs.{kind}")]


class MountNamespace:
    def __init__(self, folder, setup=""):
        self.folder, self.setup = pathlib.Path(folder), setup
        for kind in kinds():
            image = self.folder / f"{kind}.image"
            with open(image, "wb") as file:
                file.truncate(SIZES[kind] * MIB)
            subprocess.run([f"mkfs.{kind}", "-q", image], check=True, capture_output=True)
            (self.folder / kind).mkdir()
        mounts = "".join(f"mount -o loop {kind}.image {kind}\n" for kind in kinds())
        script = f"set -e\ncd {self.folder}\n{mounts}{setup}\necho ready\nexec sleep 1000\n"
        self.holder = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-c", script],
                                       stdout=subprocess.PIPE, text=True)
        line = self.holder.stdout.readline()
        if line != "ready\n":
            self.close()
            raise RuntimeError("the mount namespace could not be set up")

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def enter(self):
        """What stands before a command that is to run inside."""
        return ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", "--"]

    def run(self, script):
        return subprocess.run([*self.enter, "sh", "-ec", f"cd {self.folder}\n{script}"], check=True, stdout=subprocess.PIPE,
                              text=True, errors="surrogateescape").stdout
