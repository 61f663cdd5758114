"""What the kernel says of a program in each sandbox, read from inside: status, mounts, namespaces, limits."""

import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import build

pytestmark = pytest.mark.root

USER = 1234
SANDBOXED = ["minimal", "diag"]
KINDS = [*SANDBOXED, "plain", "none"]
FAILED = 125
DEVICES = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom")}
WRITABLE = {"/tmp", "/var/tmp", *DEVICES}
# NOROOT and its lock, NO_SETUID_FIXUP and its lock, the lock of KEEP_CAPS, NO_CAP_AMBIENT_RAISE and its lock
SECUREBITS = 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x40 | 0x80
LANDLOCK, SECCOMP = 1 << 5, 1 << 4


def run(kind, uid, *command, propagation="private"):
    """As in a guest whose mounts are `propagation`; each kind of option stands before the program."""
    done = subprocess.run(["unshare", "-m", "--propagation", propagation, build.BUILD / "tests/confine/sandbox-run", kind,
                           str(uid), *map(str, command)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def output(*args, **more):
    status, text, error = run(*args, **more)
    assert status == 0 and not error, (status, error)
    return text


def fields(text):
    return {key: " ".join(value.split()) for key, _, value in (line.partition(":") for line in text.splitlines())}


def own_bound():
    return fields(pathlib.Path("/proc/self/status").read_text())["CapBnd"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("uid", [0, USER])
def test_status(kind, uid):
    status = fields(output(kind, uid, "group=7", "group=8", "/usr/bin/cat", "/proc/self/status"))
    sandboxed = kind in SANDBOXED
    bound = "0" * 16 if sandboxed else own_bound()
    held = bound if uid == 0 else "0" * 16
    assert status["Uid"] == f"{uid} {uid} {uid} {uid}" and status["Gid"] == status["Uid"]
    assert status["Groups"] == "7 8"
    assert (status["CapBnd"], status["CapPrm"], status["CapEff"]) == (bound, held, held)
    assert (status["CapInh"], status["CapAmb"]) == ("0" * 16, "0" * 16)
    assert status["NoNewPrivs"] == str(int(sandboxed))
    assert status["Seccomp_filters"] == {"minimal": "3", "diag": "3", "plain": "1", "none": "0"}[kind]
    assert status["Umask"] == "0022"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("net", [False, True])
def test_namespaces(kind, net):
    names = ["pid", "ipc", "uts", "mnt", "net"]
    inside = output(kind, USER, *(["net=host"] if net else []), "/usr/bin/readlink", *(f"/proc/self/ns/{n}" for n in names))
    own = {name for name, link in zip(names, inside.split()) if link != os.readlink(f"/proc/self/ns/{name}")}
    own -= {"mnt"} if kind not in SANDBOXED else set()  # there it is unshare's
    wanted = {"none": set(), "plain": {"net"}}.get(kind, set(names))
    assert own == wanted - ({"net"} if net else set())


@pytest.mark.parametrize("kind", SANDBOXED)
def test_mounts(kind):
    """The topmost mount of each place."""
    mounts = {line.split()[1]: line.split()[3].split(",") for line in output(kind, 0, "/usr/bin/cat", "/proc/mounts").splitlines()}
    assert {"/", "/tmp", "/var/tmp", "/run", "/dev", "/proc", *DEVICES} <= set(mounts)
    assert {place for place, flags in mounts.items() if "rw" in flags} == WRITABLE
    assert {place for place, flags in mounts.items() if "nosuid" not in flags} == set()
    assert {place for place, flags in mounts.items() if "nodev" not in flags} == {"/dev", *DEVICES}
    assert all("noexec" in mounts[place] for place in ("/tmp", "/var/tmp", "/run", "/dev", "/proc"))


@pytest.mark.parametrize("kind", SANDBOXED)
def test_nothing_is_mounted_later(kind):
    """No mount has a peer or a master, whatever those of the guest are."""
    infos = output(kind, USER, "/usr/bin/cat", "/proc/self/mountinfo", propagation="shared").splitlines()
    assert infos and all(line.split()[6] == "-" for line in infos)


def test_minimal_shows_what_the_plan_names_and_nothing_else(tmp_path):
    """Without following a link: who may change one would choose what is shown."""
    shown, hidden, link = tmp_path / "shown", tmp_path / "hidden", tmp_path / "link"
    for folder in (shown, hidden):
        folder.mkdir()
        (folder / "file").write_text("text")
    link.symlink_to("hidden")
    found = output("minimal", 0, f"path={shown}", f"path={link}", f"path={tmp_path}/missing", "/usr/bin/ls", "/", tmp_path, shown)
    assert found.split() == ["/:", *sorted(["bin", "dev", "etc", "proc", "run", "tmp", "usr", "var",
                                            *(n for n in ("lib", "lib32", "lib64", "libx32", "sbin") if os.path.exists(f"/{n}"))]),
                             f"{tmp_path}:", "link", "shown", f"{shown}:", "file"]
    assert output("minimal", 0, f"path={link}", "/usr/bin/find", link).split() == [str(link)], "it is empty"


@pytest.mark.parametrize("kind", KINDS)
def test_working_directory(kind):
    assert output(kind, USER, "cwd=/usr/share", "/usr/bin/pwd").strip() == "/usr/share"
    status, _, error = run(kind, USER, "cwd=/nonexistent", "/usr/bin/pwd")
    assert status == FAILED and "enter the working directory" in error


def test_working_directory_is_entered_as_the_user(tmp_path):
    """Not by the worker's right to search every folder."""
    tmp_path.chmod(0o755)
    (tmp_path / "closed").mkdir(0o700)
    for kind in ("plain", "diag"):
        status, _, error = run(kind, USER, f"cwd={tmp_path}/closed", "/usr/bin/pwd")
        assert status == FAILED and "enter the working directory: Permission denied" in error


@pytest.mark.parametrize("kind", KINDS)
def test_limits(kind):
    text = output(kind, USER, "memory=500000768", "pids=33", "/usr/bin/cat", "/proc/self/limits")
    limits = {line[:26].strip(): line[26:].split()[:2] for line in text.splitlines()}
    assert limits["Max address space"] == ["500000768"] * 2
    assert limits["Max processes"] == ["33"] * 2
    if kind in SANDBOXED:
        assert limits["Max core file size"] == ["1"] * 2


@pytest.mark.parametrize("kind", SANDBOXED)
def test_securebits(kind):
    program = build.BUILD / "tests/confine/escape"
    assert run(kind, 0, f"path={program.parent}", program, "securebits")[0] == SECUREBITS


@pytest.mark.parametrize("kind", SANDBOXED)
def test_another_file_is_not_executed(kind):
    """The program is looked up again inside; what lies there by now may be another file."""
    status, _, error = run(kind, USER, "claim=/usr/bin/false", "/usr/bin/true")
    assert status == FAILED and "open the program again: Stale" in error


@pytest.mark.parametrize("kind", SANDBOXED)
def test_a_fence_that_is_off(kind):
    status = fields(output(kind, USER, f"off={SECCOMP}", "/usr/bin/cat", "/proc/self/status"))
    assert status["Seccomp_filters"] == "1"
    assert output(kind, USER, f"required={LANDLOCK}", "/usr/bin/echo", "here").strip() == "here"


@pytest.mark.parametrize("kind", SANDBOXED)
def test_an_ordinary_users_agent(kind):
    """No view; Landlock, the filter and no_new_privs hold."""
    status = fields(output(kind, USER, f"as={USER}", "/usr/bin/cat", "/proc/self/status"))
    assert status["NoNewPrivs"] == "1" and status["Seccomp_filters"] == "3"
    assert run(kind, USER, f"as={USER}", "/usr/bin/ls", "/tmp")[0] == 2


REPLACE = """
mount -t tmpfs -o mode=755 bulkhead-stage /run && cp -a /etc /run/etc && mount --bind /run/etc /etc && mkfifo /run/go || exit 99
for file in /etc/shadow /etc/ssh/ssh_host_rsa_key; do mkdir -p ${file%/*}; echo old >$file; chmod 600 $file; done
"$@" <>/run/go &
sleep 0.5
for file in /etc/shadow /etc/ssh/ssh_host_rsa_key; do echo secret >$file.new; chmod 600 $file.new; mv $file.new $file; done
echo go 1<>/run/go
wait %1
"""


@pytest.mark.parametrize("kind", SANDBOXED)
def test_a_secret_that_is_replaced_stays_one(kind):
    """As passwd does it: the mask goes with the file that it lay on, and root owns the new one."""
    program = ["/usr/bin/bash", "-c", "read go; cat /etc/hostname >/dev/null && echo reads; cat /etc/shadow /etc/ssh/ssh_host_rsa_key"]
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "bash", "-c", REPLACE, "replace",
                           build.BUILD / "tests/confine/sandbox-run", kind, "0", *program],
                          capture_output=True, text=True, timeout=60)
    assert done.stdout == "reads\n" and done.stderr.count("Permission denied") == 2, done
