"""What each program links, from its objects: a front that cannot open a file does not even contain the call.

The C library is static and holds everything, so not the program is looked at but our own objects: the program's, and
those members of our libraries that the linker took (one of their symbols is in the program). policy/confine is left
out: it runs before the filter is in force, and is what takes these calls away.
"""

import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BULKHEAD_BUILD", ROOT / "build")).resolve()

OPEN = {"open", "open64", "openat", "openat64", "creat", "fopen", "fopen64", "opendir", "freopen", "freopen64"}
NETWORK = {"socket", "connect", "bind", "listen", "accept", "accept4", "getaddrinfo"}
PROCESS = {"fork", "vfork", "clone", "execve", "execv", "execvp", "execl", "execlp", "execvpe", "fexecve", "execveat",
           "posix_spawn", "posix_spawnp", "system", "popen", "kill", "ptrace", "dlopen"}
MOUNT = {"mount", "umount", "umount2", "unshare", "setns", "chroot", "pivot_root"}
IDENTITY = {"setuid", "setgid", "setresuid", "setresgid", "setgroups", "setreuid", "setregid"}
CHANGE = {"unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "mkdir", "chmod", "fchmodat",
          "chown", "fchown", "lchown", "truncate", "mknod"}
PASSING = {"bh_memfd_new", "bh_fd_send", "bh_fds_send", "sendmsg"}
JSON = {"json_tokener_new", "json_tokener_parse_ex", "json_object_put"}

FORBIDDEN = {
    "bulkhead-front": OPEN | NETWORK | {"socketpair", "memfd_create"} | PROCESS | MOUNT | IDENTITY | CHANGE,
    "bulkhead-info": NETWORK - {"socket", "bind"} | PROCESS | MOUNT | IDENTITY | CHANGE | JSON,
    "bulkhead-fs": NETWORK | PROCESS | MOUNT | IDENTITY | JSON,
    "bulkhead-storage": NETWORK | PROCESS | MOUNT | IDENTITY | CHANGE | JSON,
    "bulkhead-thaw": NETWORK | PROCESS | MOUNT | IDENTITY | CHANGE | JSON,
    "bulkhead-spool": OPEN | NETWORK | {"socketpair", "memfd_create"} | PROCESS | MOUNT | IDENTITY | CHANGE | JSON | {"opendir"},
    "bulkhead-smart": NETWORK | PROCESS | MOUNT | IDENTITY | CHANGE | JSON | {"opendir"},
    "bulkhead-exec": NETWORK | JSON | {"system", "popen", "dlopen", "execvp", "posix_spawn"} | CHANGE - {"mkdir", "symlink", "unlinkat"},
    "bulkhead-spawn": NETWORK | JSON | {"system", "popen", "dlopen", "execvp", "posix_spawn"} | CHANGE - {"mkdir", "symlink", "unlinkat"},
    "bulkhead-opener": NETWORK | PROCESS | MOUNT | IDENTITY | JSON,
    "bulkhead-hook": NETWORK | (PROCESS - {"fork", "execve", "kill"}) | MOUNT | IDENTITY | CHANGE | JSON,
    "bulkhead-audit": OPEN | NETWORK | PROCESS | MOUNT | IDENTITY | CHANGE | JSON | {"ftruncate", "truncate"},
    "bulkhead-policyc": NETWORK | PROCESS | MOUNT | IDENTITY | CHANGE | JSON,
    "bulkhead": JSON | {"system", "popen", "dlopen", "seccomp_init"},
    "bulkheadctl": {"seccomp_init", "mount", "system", "popen"},
}
# May be in a library that all share, but not named by the program's own objects.
FORBIDDEN_OWN = {"bulkhead-front": PASSING, "bulkhead-info": PASSING, "bulkhead-storage": {"bh_memfd_new"},
                 "bulkhead-thaw": {"bh_memfd_new"}, "bulkhead-smart": {"bh_memfd_new", "sendmsg"},
                 "bulkhead-spool": {"bh_memfd_new", "bh_fds_send", "sendmsg"}}
SHARED = {"fd.c.o"}


def nm(path, *options):
    """{object: [(type, symbol)]}"""
    out = subprocess.run(["nm", "-A", *options, str(path)], capture_output=True, text=True, check=True).stdout
    result = {}
    for line in out.splitlines():
        match = re.match(r"^(?:.*?:)?([^:\s]+):(?:\s*[0-9a-f]*)?\s+([A-Za-z])\s+(\S+)$", line)
        if match:
            result.setdefault(match[1], []).append((match[2], match[3].split("@")[0]))
    return result


def own_objects(program):
    found = [path for path in BUILD.rglob(f"{program}.p/*.o")]
    assert found, f"no objects of {program}: ./dev build"
    return found


def undefined(symbols):
    return {name for kind, name in symbols if kind == "U"}


def linked_members(program):
    """(archive, member, symbols) of our libraries that are part of the program."""
    defined = {name for symbols in nm(BUILD / program).values() for kind, name in symbols if kind in "TDBRV"}
    for archive in sorted(BUILD.rglob("*.a")):
        if "confine" in archive.name or "subprojects" in archive.parts:
            continue
        for member, symbols in nm(archive.resolve()).items():
            if {name for kind, name in symbols if kind in "TDBRV"} & defined:
                yield archive.name, member, symbols


@pytest.mark.parametrize("program", FORBIDDEN)
def test_forbidden_symbols(program):
    assert (BUILD / program).exists(), "not built: ./dev build"
    wrong = []
    for path in own_objects(program):
        for symbols in nm(path).values():
            bad = undefined(symbols) & (FORBIDDEN[program] | FORBIDDEN_OWN.get(program, set()))
            wrong += [f"{path.name}: {name}" for name in sorted(bad)]
    for archive, member, symbols in linked_members(program):
        if member not in SHARED and not member.startswith("confine"):
            wrong += [f"{archive}({member}): {name}" for name in sorted(undefined(symbols) & FORBIDDEN[program])]
    assert not wrong, "\n".join(wrong)


def test_the_test_sees_something():
    """The supervisor forks; if this test did not notice, the ones above would prove nothing."""
    names = set()
    for path in own_objects("bulkhead"):
        for symbols in nm(path).values():
            names |= undefined(symbols)
    assert {"fork", "socketpair", "kill"} <= names


@pytest.mark.parametrize("program", sorted(set(FORBIDDEN) - {"bulkhead", "bulkheadctl"}))
def test_confined_programs_need_no_loader(program):
    out = subprocess.run(["readelf", "-Wl", str(BUILD / program)], capture_output=True, text=True, check=True).stdout
    assert "INTERP" not in out
    assert "DYN (" in out, "position independent"
    assert re.search(r"GNU_STACK.*RW ", out) and "GNU_RELRO" in out


def test_the_supervisor_links_no_parser():
    """Root parses nothing: no policy text, no JSON, no message body."""
    symbols = {name for rows in nm(BUILD / "bulkhead", "--defined-only").values() for _, name in rows}
    assert "bh_launch" in symbols
    assert not symbols & {"bh_model_parse", "bh_policy_compile", "bh_parser_advance", "bh_lexer_feed", "bh_json_to_struct",
                          "bh_decode", "bh_frame_recv"}
