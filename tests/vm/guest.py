"""A virtual machine as a test uses it: its shell, its console, QEMU's monitor, and the agent's port as a client's socket.

    with Guest(start="qemu-ga -v") as guest:
        guest.shell("uname -r")
        with guest.client() as client:
            client.ok("guest-ping")

The agent's port is org.qemu.guest_agent.0, behind a socket that is closed and opened like libvirt's or Proxmox's. The
shell has a port of its own and works whatever becomes of the agent. QEMU ends with this process, however that ends.
"""

import functools
import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import time

import image
from harness import Client, wait_for

PORT = "org.qemu.guest_agent.0"
BOOT_SECONDS = 90
MEMORY = "384M"  # most of what is unpacked at boot is there twice for a moment


ACCELERATORS = {"kvm": ["-accel", "kvm", "-cpu", "host"], "tcg": ["-accel", "tcg,thread=multi", "-cpu", "max"]}


@functools.cache
def accelerators():
    """Names to try, best first. /dev/kvm may be there and not work with this QEMU. $BULKHEAD_VM_ACCEL decides."""
    forced = os.environ.get("BULKHEAD_VM_ACCEL")
    if forced:
        return [forced]
    works = os.access("/dev/kvm", os.R_OK | os.W_OK) and runs(ACCELERATORS["kvm"])
    return ["kvm", "tcg"] if works else ["tcg"]


def runs(arguments):
    """A machine with these arguments, and nothing to boot, lives until its monitor says `quit`."""
    done = subprocess.run(["qemu-system-x86_64", *arguments, "-S", "-m", "64", "-display", "none", "-monitor", "stdio"],
                          input=b"quit\n", capture_output=True, timeout=30)
    return done.returncode == 0


class NotUp(Exception):
    """QEMU runs, and the guest says nothing."""


class Done:
    """What a command in the guest came to."""

    def __init__(self, status, text):
        self.status, self.text = status, text


class Shell:
    """Lines to `sh` in the guest. A mark after each command says its status and that its output is whole."""

    def __init__(self, connected):
        self.socket = connected
        self.number = 0

    def run(self, command, seconds):
        self.number += 1
        mark = f"@{self.number}@"
        line = f"sh -c {shlex.quote(command)} </dev/null 2>&1; echo \"{mark} $?\"\n"
        self.socket.sendall(line.encode())
        found, end = None, re.compile(rf"{mark} (\d+)\n".encode())
        text, stop = bytearray(), time.monotonic() + seconds
        while not (found := end.search(text)):
            self.socket.settimeout(max(0.01, stop - time.monotonic()))
            try:
                piece = self.socket.recv(1 << 20)
            except socket.timeout:
                raise AssertionError(f"guest: no answer in {seconds} s to: {command}\n{bytes(text)[-2000:]}") from None
            assert piece, "the guest has ended"
            text += piece
        return Done(int(found[1]), bytes(text[:found.start()]).decode(errors="replace"))

    def close(self):
        self.socket.close()


class Host(Client):
    """Attached to the agent's port of a guest: whatever it freezes is the guest's."""

    harmless = True


class Qmp:
    """QEMU's monitor: commands, and the events that came since the last `forget`."""

    def __init__(self, connected):
        self.socket = connected
        self.lines = self.socket.makefile("rb")
        self.events = []
        self.receive(10)
        self.run("qmp_capabilities")

    def receive(self, seconds):
        self.socket.settimeout(seconds)
        message = json.loads(self.lines.readline())
        if "event" in message:
            self.events.append(message)
        return message

    def run(self, command, **arguments):
        request = {"execute": command, "arguments": {name.replace("_", "-"): value for name, value in arguments.items()}}
        self.socket.sendall(json.dumps(request).encode())
        while "event" in (reply := self.receive(20)):
            pass
        assert "return" in reply, f"{request}: {reply}"
        return reply["return"]

    def human(self, line):
        return self.run("human-monitor-command", command_line=line)

    def event(self, name, seconds=10, **data):
        """The next event of this name whose data has these values; those that came already count."""
        stop = time.monotonic() + seconds
        while True:
            for event in self.events:
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    self.events.remove(event)
                    return event
            assert time.monotonic() < stop, f"waited {seconds} s in vain for {name} {data}; there were {self.events}"
            self.run("query-status")  # brings what events there are
            time.sleep(0.02)

    def forget(self):
        self.run("query-status")
        self.events.clear()

    def opened(self):
        """Each change of the agent's port that the guest made and nobody has asked for yet: True is open."""
        self.run("query-status")
        return [event["data"]["open"] for event in self.events
                if event["event"] == "VSERPORT_CHANGE" and event["data"]["id"] == "agent"]

    def close(self):
        self.lines.close()
        self.socket.close()


class Guest:
    """`start` is a shell script that the guest runs when it is up; `programs` go to its /usr/bin, `files` where they say.

    `disks` are arguments of QEMU's that give it disks; it loads what they need when `load_disks` is called, or at once if
    its root is to be on one of them, `root`: an ext4 file system, to which all is copied at each boot.
    """

    def __init__(self, start="", programs=(), files=None, links=False, disks=(), root=None):
        self.start_script, self.links, self.disks, self.root = start, links, list(disks), root
        self.programs, self.files = list(programs), dict(files or {})
        self.folder = self.process = self.sh = self.qmp = None

    def __enter__(self):
        while True:
            try:
                return self.boot(accelerators()[0])
            except NotUp as reason:
                self.stop()
                if len(accelerators()) == 1:
                    raise
                image.progress(f"no guest comes up with {accelerators().pop(0)}: {reason}")
            except BaseException:
                self.stop()
                raise

    def __exit__(self, *_):
        self.stop()

    def boot(self, accelerator):
        image.check_tools()
        kernel = image.kernel(bool(self.disks))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bh-vm-", dir="/tmp"))
        if self.start_script:
            self.files["etc/start"] = self.start_script + "\n"
        image.initramfs(self.folder / "initramfs", self.programs, self.files, bool(self.disks))
        began = time.monotonic()
        with open(self.folder / "qemu", "wb") as log:
            self.process = subprocess.Popen(self.command(kernel, accelerator), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.qmp = Qmp(self.connect("qmp"))
        self.sh = Shell(self.connect("shell"))
        try:
            self.shell("true", BOOT_SECONDS)
        except (AssertionError, OSError) as error:
            raise NotUp(f"{error}\nThe guest did not come up. {self.console()}") from None
        image.progress(f"a guest is up after {time.monotonic() - began:.1f} s")
        return self

    def command(self, kernel, accelerator):
        image.progress(f"booting a guest with {accelerator}")
        folder = self.folder
        return ["setpriv", "--pdeathsig", "KILL",
                "qemu-system-x86_64", *ACCELERATORS[accelerator], "-M", "q35,usb=off,vmport=off", "-smp", "2", "-m", MEMORY,
                "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-net", "none",
                "-kernel", str(kernel / "vmlinux"), "-initrd", str(folder / "initramfs"),
                "-append", f"console=ttyS0 quiet panic=-1 tsc=reliable links={int(self.links)} disk={self.root or ''}",
                "-serial", f"file:{folder}/console", "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
                "-device", "virtio-serial-pci,id=serial0",
                "-chardev", f"socket,id=shell,path={folder}/shell,server=on,wait=off",
                "-device", "virtserialport,chardev=shell,name=test.shell,nr=1,id=shell-port",
                "-chardev", f"socket,id=agent,path={folder}/agent,server=on,wait=off",
                "-device", f"virtserialport,chardev=agent,name={PORT},nr=2,id=agent", *self.disks]

    def connect(self, name):
        """To a socket of QEMU's, which may be about to be made."""
        def attempt():
            assert self.process.poll() is None, f"QEMU ended: {(self.folder / 'qemu').read_text()}"
            end = socket.socket(socket.AF_UNIX)
            try:
                end.connect(str(self.folder / name))
                return end
            except (FileNotFoundError, ConnectionRefusedError):
                end.close()
                return None

        return wait_for(attempt, 20, f"QEMU to listen on {self.folder / name}")

    def console(self):
        text = (self.folder / "console").read_text(errors="replace")
        return f"Its console ends with:\n{text[-3000:]}"

    def shell(self, command, seconds=20, check=True):
        """Runs it as root in the guest. The output; with check=False a Done, whose status may be any."""
        done = self.sh.run(command, seconds)
        assert not check or done.status == 0, f"guest: {command}: status {done.status}\n{done.text}\n{self.console()}"
        return done.text if check else done

    def load_disks(self):
        self.shell("while read -r module; do insmod /modules/$module || exit 1; done </modules/disk-order", 60)

    def client(self, timeout=10.0):
        """A host that is attached to the agent's port for as long as it is open. QEMU's queue of them has one place."""
        def attach():
            try:
                return Host(self.folder / "agent", timeout)
            except (BlockingIOError, ConnectionRefusedError):  # full; replugged, and not listening yet
                return None
        return wait_for(attach, 10, "QEMU to take another host")

    def stop(self):
        for part in (self.sh, self.qmp):
            if part:
                part.close()
        if self.process:
            self.process.kill()
            self.process.wait()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder = self.process = self.sh = self.qmp = None

    def reboot(self):
        """As after a power cut: what the guest had not written is lost. Its disks are those of before."""
        self.stop()
        self.__enter__()

    # The agent's port, pulled out and put in again while the guest runs.

    def unplug(self):
        self.qmp.run("device_del", id="agent")
        self.qmp.event("DEVICE_DELETED", device="agent")
        self.qmp.run("chardev-remove", id="agent")

    def plug(self):
        path = self.folder / "agent"
        path.unlink(missing_ok=True)
        backend = {"type": "socket", "data": {"addr": {"type": "unix", "data": {"path": str(path)}},
                                              "server": True, "wait": False}}
        self.qmp.run("chardev-add", id="agent", backend=backend)
        self.qmp.run("device_add", driver="virtserialport", chardev="agent", name=PORT, nr=2, id="agent", bus="serial0.0")
