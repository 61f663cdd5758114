"""An agent inside a guest: started and watched through the guest's shell, since nothing else reaches it there.

Bulkhead and qemu-ga have one face here, so that one test can ask both the same.
"""

import json
import pathlib
import shlex

import image
from harness import PEER_PROGRAM, wait_for

HOME = "/tmp/agent"
TICKS_PER_SECOND = 100


class Inside:
    """The agent, with `options`; `policy` is a shipped profile's name or a policy's text."""

    program, peer = "bulkhead", False

    def __init__(self, guest, *options, policy="open", method="virtio-serial"):
        self.guest, self.policy, self.method = guest, policy, method
        self.options, self.pid, self.line = list(options), None, None

    def command(self):
        policy = self.policy
        if "\n" in policy:
            policy = f"{HOME}/policy"
            self.guest.shell(f"umask 077; printf %s {shlex.quote(self.policy)} >{policy}")
        return ["bulkhead", "--policy", policy, "-m", self.method, "-t", HOME, *self.options]

    def start(self):
        """Starts it, and no more: whoever needs an answer asks for one."""
        self.guest.shell(f"rm -rf {HOME}; mkdir -p {HOME}")
        self.line = shlex.join(self.command())
        return self.run()

    def run(self):
        """Starts it upon whatever it has left there."""
        script = f"{self.line} >>{HOME}/log 2>&1 & echo $! >{HOME}/pid; wait $!; echo $? >{HOME}/ended"
        self.guest.shell(f"rm -f {HOME}/pid {HOME}/ended; setsid sh -c {shlex.quote(script)} >/dev/null 2>&1 </dev/null &")
        self.pid = int(wait_for(lambda: self.guest.shell(f"cat {HOME}/pid 2>/dev/null; true").strip(), 10, "its pid"))
        return self

    def log(self):
        return self.guest.shell(f"cat {HOME}/log")

    def ended(self, seconds):
        """Its exit status, once it has ended."""
        def status():
            return self.guest.shell(f"cat {HOME}/ended 2>/dev/null; true").strip()
        return int(wait_for(status, seconds, f"the agent to end; its log: {self.log()[-2000:]}"))

    def stop(self):
        """Ends it, and returns its exit status; None if it had none coming any more."""
        pid, self.pid = self.pid, None
        if not pid or self.guest.shell(f"kill {pid}", check=False).status != 0:
            return None
        try:
            return self.ended(10)
        finally:
            self.guest.shell(f"kill -9 {pid} 2>/dev/null; true")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # Its processes.

    def stats(self):
        """{pid: fields of /proc/PID/stat after the name} of the agent and all that descends from it."""
        rows = {}
        for line in self.guest.shell("cat /proc/[0-9]*/stat 2>/dev/null; true").splitlines():
            head, _, tail = line.rpartition(")")
            rows[int(head.split()[0])] = tail.split()
        family = {self.pid} if self.pid in rows else set()
        while more := {pid for pid, fields in rows.items() if int(fields[1]) in family} - family:
            family |= more
        return {pid: rows[pid] for pid in family if rows[pid][0] != "Z"}

    def ticks(self):
        """Processor time that it has used, with that of its ended children."""
        return sum(int(field) for fields in self.stats().values() for field in fields[11:15])

    def switches(self):
        """{pid: how often it was given the processor}"""
        files = " ".join(f"/proc/{pid}/status" for pid in self.stats())
        counts = {}
        for line in self.guest.shell(f"grep -H ctxt_switches {files}").splitlines():
            path, _, count = line.split(":")
            pid = int(path.split("/")[2])
            counts[pid] = counts.get(pid, 0) + int(count)
        return counts

    def status(self):
        """status.json as it is now."""
        path = f"{HOME}/bulkhead/status.json"
        old = json.loads(self.guest.shell(f"cat {path}; kill -USR1 {self.pid}"))["generation"]

        def newer():
            now = json.loads(self.guest.shell(f"cat {path}"))
            return now["generation"] > old and now
        return wait_for(newer, 10, "status.json")

    def processes(self):
        """{role: pid} of what runs, the supervisor left out."""
        running = self.stats()
        return {row["role"]: row["pid"] for row in self.status()["processes"]
                if row["pid"] in running and row["pid"] != self.pid}

    def proc_status(self, pid):
        text = self.guest.shell(f"cat /proc/{pid}/status")
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


class PeerInside(Inside):
    """qemu-ga, which needs the device's own name where there is no udev."""

    program, peer = "qemu-ga", True

    def command(self):
        return ["qemu-ga", "-m", "virtio-serial", "-p", "/dev/vport0p2", "-t", HOME, *self.options]


def has_peer():
    return pathlib.Path(PEER_PROGRAM).exists()


def programs():
    """What a guest gets to run: all of our build, and the peer if this machine has it."""
    ours = [image.BUILD / name for name in image.PROGRAMS] + [image.BUILD / "tests/vm/vsock-relay"]
    missing = [str(path) for path in ours if not path.exists()]
    assert not missing, f"not built: {missing}: ./dev build"
    return ours + [pathlib.Path(PEER_PROGRAM)] * has_peer()
