"""A /run of the test's own, in a mount namespace that only the agent has: who is logged in there is the test's to say."""

import struct

USER, DEAD = 7, 8
RECORD = struct.Struct("=hxxi32s4s32s256shhiii16s20x")  # utmp(5) where time has 32 bits
SCRIPT = """set -e
mount --make-rprivate /
mount -t tmpfs -o mode=0755 test /run
mkdir -p /run/systemd/sessions
%s
exec "$@"
"""


def record(user, seconds, microseconds=0, kind=USER):
    return RECORD.pack(kind, 1, b"pts/0", b"ts/0", user, b"h" * 256, 0, 0, 0, seconds, microseconds, b"")


def own_run(folder, utmp=None, sessions=()):
    """What stands before a command whose /run holds this utmp (None: no such file) and these (name, text) sessions."""
    script = ""
    for name, text in sessions:
        (folder / name).write_text(text)
        script += f"cp {folder}/{name} /run/systemd/sessions/{name}\n"
    if utmp is not None:
        (folder / "utmp").write_bytes(utmp)
        script += f"cp {folder}/utmp /run/utmp\n"
    return ["unshare", "-m", "sh", "-c", SCRIPT % script, "sh"]
