"""A guest to try to escape to: run in a mount namespace of its own (unshare -m), it covers /etc, /run, /root, /home, /tmp, /opt
and /var/lib with things worth having, listens where systemd, D-Bus and docker do, and runs tests/confine/escape in every sandbox.

Prints one JSON object: column -> attempt -> what came of it. The machine sees nothing of it but a few processes.

    stage.py BUILD [COLUMN...]
"""

import ctypes
import json
import os
import pathlib
import socket
import subprocess
import sys

USER = 1234
OPTIONS = ["memory=536870912", "pids=64"]
COLUMNS = {
    "minimal/user": ("minimal", USER, []),
    "minimal/root": ("minimal", 0, []),
    "minimal/net": ("minimal", USER, ["net=host"]),
    "minimal/socket": ("minimal", USER, ["socket=/run/docker.sock"]),
    "minimal/both": ("minimal", USER, ["net=host", "socket=/run/docker.sock"]),
    "minimal/own": ("minimal", USER, [f"as={USER}"]),
    "diag/user": ("diag", USER, []),
    "diag/root": ("diag", 0, []),
    "diag/net": ("diag", USER, ["net=host"]),
    "diag/socket": ("diag", USER, ["socket=/run/docker.sock"]),
    "diag/both": ("diag", USER, ["net=host", "socket=/run/docker.sock"]),
    "diag/own": ("diag", USER, [f"as={USER}"]),
    "plain/user": ("plain", USER, ["net=host"]),
    "plain/root": ("plain", 0, ["net=host"]),
    "none/user": ("none", USER, ["net=host"]),
    "none/root": ("none", 0, ["net=host"]),
}
FOLDER = pathlib.Path("/opt/bulkhead-escape")
LAUNCHER = pathlib.Path("/run/stage/sandbox-run")
ABSTRACT = "bulkhead-escape"
SHM_KEY = 0x42480001


def cover(path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "bulkhead-stage", path], check=True)


def secret(path):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("secret\n")
    path.chmod(0o600)


def program(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)


def build_guest(build):
    escape, launcher = ((build / "tests/confine" / name).read_bytes() for name in ("escape", "sandbox-run"))
    for path in ("/run", "/root", "/home", "/tmp", "/opt", "/var/lib"):
        cover(path)
        pathlib.Path(path, "secret").write_text("secret\n")
    os.chmod("/tmp", 0o1777)
    subprocess.run(["cp", "-a", "/etc", "/run/etc"], check=True)
    subprocess.run(["mount", "--bind", "/run/etc", "/etc"], check=True)
    for path in ("/etc/shadow", "/etc/ssh/ssh_host_ed25519_key", "/etc/bulkhead/policy", "/var/lib/bulkhead/secret"):
        secret(path)
    program(LAUNCHER, launcher)
    program(FOLDER / "escape", escape)
    program(FOLDER / "suid", escape)
    os.chmod(FOLDER / "suid", 0o4755)


def listen(address, kind=socket.SOCK_STREAM, family=socket.AF_UNIX):
    listening = socket.socket(family, kind)
    listening.bind(address)
    if kind == socket.SOCK_STREAM:
        listening.listen(64)
    if isinstance(address, str) and address.startswith("/"):
        os.chmod(address, 0o666)
    return listening


def start_services():
    for path in ("/run/systemd", "/run/dbus", "/var/lib/bulkhead-escape"):
        os.mkdir(path)
    return [listen("/run/systemd/private"), listen("/run/dbus/system_bus_socket"), listen("/run/docker.sock"),
            listen("/var/lib/bulkhead-escape/socket"), listen("\0" + ABSTRACT), listen("/run/systemd/journal", socket.SOCK_DGRAM)]


def shared_memory():
    libc = ctypes.CDLL(None, use_errno=True)
    segment = libc.shmget(SHM_KEY, 4096, 0o1666)
    assert segment >= 0, os.strerror(ctypes.get_errno())
    return lambda: libc.shmctl(segment, 0, None)


def attempts(column, port):
    kind, uid, options = COLUMNS[column]
    outsider = subprocess.Popen(["sleep", "600"], user=uid, group=uid)
    try:
        command = [LAUNCHER, kind, str(uid), *OPTIONS, *options, FOLDER / "escape",
                   FOLDER / "suid", str(outsider.pid), str(port), ABSTRACT, str(SHM_KEY)]
        run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=120)
        assert run.returncode == 0, f"{column}: ended with {run.returncode}"
        return dict(line.split(" ", 1) for line in run.stdout.splitlines())
    finally:
        outsider.kill()
        outsider.wait()


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    build_guest(build)
    services = start_services()
    tcp = listen(("127.0.0.1", 0), family=socket.AF_INET)
    remove = shared_memory()
    try:
        found = {column: attempts(column, tcp.getsockname()[1]) for column in sys.argv[2:] or COLUMNS}
    finally:
        remove()
    print(json.dumps(found))
    for service in services:
        service.close()


if __name__ == "__main__":
    main()
