"""Freezing and thawing: file systems of the test's own on loop devices (images.py), the agent, the kernel's word, and
qemu-ga beside."""

import errno
import json
import os
import re
import signal
import time

import pytest

from harness import CODE, PEER_PROGRAM, ROOT, Client, kill, split_error, wait_for
from images import FIFREEZE, SIX, Writer, knows, record, wait_until_thawed

pytestmark = pytest.mark.root

COMMANDS = set(json.loads((ROOT / "protocol" / "schema.json").read_text())["commands"])
SECOND = 1.0
DATA = bytes(range(256)) * 64


def freeze(client, *mounts, timeout=30):
    return client.ok("guest-fsfreeze-freeze-list", {"mountpoints": [getattr(m, "path", m) for m in mounts]}, timeout)


def freeze_all(client):
    """All that the policy covers, and that is in the test's folder."""
    return client.ok("guest-fsfreeze-freeze", timeout=30)


def thaw(client):
    return client.ok("guest-fsfreeze-thaw", timeout=30)


def status(client):
    return client.ok("guest-fsfreeze-status")


def enabled(client):
    return {row["name"] for row in client.ok("guest-info")["supported_commands"] if row["enabled"]}


def reload(agent, text):
    path = agent.folder / "bulkhead" / "status.json"
    before = json.loads(path.read_text())["reload"]["count"]
    agent.write_policy(text)
    agent.process.send_signal(signal.SIGHUP)
    row = wait_for(lambda: (row := json.loads(path.read_text())["reload"])["count"] > before and row, 10, "the reload")
    assert row["outcome"] == "adopted", row


# What freezing is.

@pytest.mark.parametrize("kind", ["ext4", "ext2", "xfs", "btrfs"])
def test_a_writer_waits_and_goes_on(world, kind):
    if not knows(kind):
        pytest.skip(f"the kernel has no {kind}, or its tools are missing")
    mount = world.new("m", kind)
    with world.start().client() as client:
        assert status(client) == "thawed" and not mount.frozen()
        assert freeze(client, mount) == 1
        writer = Writer(mount.file("f"), DATA)
        assert writer.is_blocked() and mount.frozen() and status(client) == "frozen"
        assert thaw(client) == 1
        writer.finish()
        assert status(client) == "thawed" and not mount.frozen()


@pytest.mark.parametrize("kind", ["vfat", "squashfs"])
def test_kinds_that_cannot_freeze_are_passed_over(world, kind):
    if not knows(kind):
        pytest.skip(f"the kernel has no {kind}, or its tools are missing")
    mount, other = world.new("m", kind), world.new("other")
    agent = world.start()
    with agent.client() as client:
        assert freeze(client, mount) == 0
        assert status(client) == "thawed"
        assert freeze_all(client) == 1
        assert other.frozen()
        assert record(agent)["mounts"][mount.path] == ("skipped", errno.EOPNOTSUPP)
        assert thaw(client) == 1


def test_all_that_the_policy_covers_and_nothing_else(world):
    mounts = [world.new(kind, kind) for kind in ("ext4", "ext2", "xfs", "btrfs") if knows(kind)]
    agent = world.start()
    with agent.client() as client:
        assert freeze_all(client) == len(mounts)
        assert world.frozen() == [mount.path for mount in mounts]
        row = record(agent)
        assert (row["state"], row["channel"]) == ("frozen", "main")
        assert {path for path, fate in row["mounts"].items() if fate == ("frozen", 0)} == set(world.frozen())
        assert row["mounts"]["/"] == ("skipped", 0)
        assert thaw(client) == len(mounts)
        assert world.frozen() == [] and record(agent)["state"] == "thawed"


def test_status_agrees_with_the_kernel_round_after_round(world):
    mounts = [world.new(name) for name in "abc"]
    with world.start().client() as client:
        for number in range(30):
            chosen = mounts[:number % 3 + 1]
            assert freeze(client, *chosen) == len(chosen)
            assert status(client) == "frozen" and world.frozen() == [mount.path for mount in chosen]
            assert thaw(client) == len(chosen)
            assert status(client) == "thawed" and world.frozen() == []


def test_six_commands_are_answered_meanwhile(world):
    mount = world.new("m")
    with world.start("allow @sync, @info, @net").client() as client:
        before = enabled(client)
        served = {row["name"] for row in client.ok("guest-info")["supported_commands"]}
        assert COMMANDS >= served > before > SIX
        freeze(client, mount)
        assert enabled(client) == SIX
        for command in {name for name in COMMANDS - SIX if name.startswith("guest-")}:
            kind, text, code, _ = client.error(command)
            assert kind == "CommandNotFound"
            assert f"Command {command} has been disabled" in text if command in served else "has not been found" in text
            assert code == 1208 or command not in served
        assert client.ok("guest-sync", {"id": 17}) == 17 and client.ok("guest-ping") == {}
        client.send(b'\xff{"execute":"guest-sync-delimited","arguments":{"id":5}}\n')
        assert client.line() == b'\xff{"return": 5}'
        assert status(client) == "frozen" and mount.frozen()
        assert thaw(client) == 1
        assert enabled(client) == before
        client.ok("guest-get-osinfo")


def test_a_second_freeze_is_refused_and_changes_nothing(world):
    a, b = world.new("a"), world.new("b")
    with world.start().client() as client:
        freeze(client, a)
        for command, arguments in (("guest-fsfreeze-freeze", None), ("guest-fsfreeze-freeze-list", {"mountpoints": [b.path]})):
            kind, text, code, _ = client.error(command, arguments)
            assert kind == "CommandNotFound" and code == 1208, text
        assert world.frozen() == [a.path]
        assert thaw(client) == 1


def test_thaw_of_nothing(world):
    mount = world.new("m")
    with world.start().client() as client:
        assert thaw(client) == 0
        freeze(client, mount)
        assert thaw(client) == 1
        assert thaw(client) == 0


@pytest.mark.parametrize("places", [[], ["/nowhere"], ["{0}"], ["{0}/m/"], ["{0}/m/."], ["m"], [""]])
def test_what_is_no_mount_point_is_passed_over(world, places):
    mount = world.new("m")
    with world.start().client() as client:
        assert freeze(client, *(place.format(world.path) for place in places)) == 0
        assert status(client) == "thawed" and not mount.frozen()


@pytest.mark.parametrize("arguments", [{"mountpoints": 1}, {"mountpoints": "m"}, {"mountpoints": [1]}, {"mountpoints": None},
                                       {"mountpoints": [], "x": 1}, {"mountpoint": []}, {"mountpoints": ["\0"]}])
def test_malformed_lists_freeze_nothing(world, arguments):
    mount = world.new("m")
    with world.start().client() as client:
        assert client.error("guest-fsfreeze-freeze-list", arguments)[0] == "GenericError"
        assert status(client) == "thawed" and not mount.frozen()


def test_freeze_and_thaw_are_recorded(world):
    mount = world.new("m")
    agent = world.start()
    with agent.client() as client:
        freeze(client, mount)
        thaw(client)
    wait_for(lambda: len(agent.audit("result")) >= 2, 5, "records")
    assert [row["cmd"] for row in agent.audit("act")] == ["guest-fsfreeze-freeze-list"]
    commands = [row["cmd"] for row in agent.audit("result") if "code" not in row]
    assert commands == ["guest-fsfreeze-freeze-list", "guest-fsfreeze-thaw"]
    agent.verify()


# Channels.

def two_channels(world, beta):
    agent = world.agent(f"channel alpha unix-listen:{world.path}/alpha.sock", f"channel beta unix-listen:{world.path}/beta.sock",
                        "allow @sync, @info on alpha, beta", *beta)
    agent.socket = world.path / "alpha.sock"
    return agent.start()


def test_other_channels_are_frozen_too_and_thaw_if_they_may(world):
    mount = world.new("m")
    agent = two_channels(world, ["allow guest-fsfreeze-status, guest-fsfreeze-thaw on beta"])
    with agent.client() as alpha, Client(world.path / "beta.sock") as beta:
        beta.ok("guest-get-osinfo")
        freeze(alpha, mount)
        assert status(beta) == "frozen" and enabled(beta) == SIX
        assert beta.error("guest-get-osinfo")[2] == 1208
        assert thaw(beta) == 1
        assert not mount.frozen() and status(alpha) == "thawed" and thaw(alpha) == 0
        alpha.ok("guest-get-osinfo"), beta.ok("guest-get-osinfo")


def test_a_channel_without_the_grant_does_not_thaw(world):
    mount = world.new("m")
    agent = two_channels(world, [])
    with agent.client() as alpha, Client(world.path / "beta.sock") as beta:
        freeze(alpha, mount)
        for command in ("guest-fsfreeze-thaw", "guest-fsfreeze-status"):
            assert beta.error(command)[0] == "CommandNotFound"
        assert beta.error("guest-get-osinfo")[2] == 1208
        assert mount.frozen() and status(alpha) == "frozen" and thaw(alpha) == 1


def test_the_client_may_leave_and_come_back(world):
    mount = world.new("m")
    agent = world.start()
    with agent.client() as client:
        freeze(client, mount)
    with agent.client() as client:
        assert status(client) == "frozen" and mount.frozen()
        assert thaw(client) == 1


# Places: what is mounted twice, upon another, below a folder of root's, within another.

def test_bind_mounts_are_one_file_system(world):
    mount = world.new("m")
    mount.file("inner").mkdir()
    binds = [world.bind(mount, "bind"), world.bind(mount.file("inner"), "inner")]
    with world.start().client() as client:
        for places in ([mount], binds, [binds[1]], [mount, *binds], [mount, mount]):
            assert freeze(client, *places) == 1
            assert mount.frozen() and thaw(client) == 1
        assert freeze_all(client) == 1 and thaw(client) == 1


def test_subvolume_of_a_btrfs(world):
    if not knows("btrfs"):
        pytest.skip("the kernel has no btrfs, or its tools are missing")
    mount = world.new("m", "btrfs")
    os.system(f"btrfs -q subvolume create {mount.path}/sub >/dev/null")
    source = next(line.split()[0] for line in open("/proc/self/mounts") if line.split()[1] == mount.path)
    sub = world.mount("-o", "subvol=sub", source, at=world.place("sub"))
    with world.start().client() as client:
        for places in ([sub], [mount], [mount, sub]):
            assert freeze(client, *places) == 1
            assert mount.frozen() and sub.frozen()
            assert thaw(client) == 1
        assert freeze_all(client) == 1 and thaw(client) == 1


def nested(world, name):
    """A file system in a file of another."""
    outer = world.new(name)
    return outer, world.new(f"{name}-inner", "ext2", below=outer.path)


@pytest.mark.parametrize("bound", ["not", "after", "before"])
def test_loop_file_on_a_frozen_file_system(world, bound):
    """The inner one writes to the outer one while it is frozen, and while it is thawed: whatever was mounted when."""
    outer = world.new("m")
    if bound == "before":
        world.bind(outer, "bind")
    inner = world.new("inner", "ext2", below=outer.path)
    if bound == "after":
        world.bind(outer, "bind")
    with world.start().client() as client:
        for places in ([outer, inner], [inner, outer], [outer], None):
            inner.dirty(os.urandom(500000))
            count = freeze(client, *places) if places else freeze_all(client)
            assert count == (len(places) if places else 2)
            assert outer.frozen() and (places == [outer] or inner.frozen())
            writers = [Writer(mount.file(f"f{count}"), DATA) for mount in (outer, inner)]
            assert writers[0].is_blocked()
            assert thaw(client) == count
            for writer in writers:
                writer.finish()


def test_loops_three_deep(world):
    first = world.new("a")
    second = world.new("b", "ext2", below=first.path)
    image = second.file("c.img")
    with open(image, "wb") as file:
        file.truncate(1024 * 1024)
    os.system(f"mkfs.ext2 -q -F {image}")
    third = world.mount("-o", "loop", image, at=world.place("c"))
    world.bind(second, "b2"), world.bind(first, "a2")
    agent = world.start()
    with agent.client() as client:
        third.dirty(b"x" * 100000)
        assert freeze_all(client) == 3
        order = [path for path, fate in record(agent)["mounts"].items() if fate[0] == "frozen"]
        assert order[0] == third.path and order[2].startswith(first.path)
        assert thaw(client) == 3


def test_overlay_whose_upper_layer_is_frozen(world):
    mount = world.new("m")
    for name in ("upper", "work"):
        mount.file(name).mkdir()
    lower = world.place("lower")
    overlay = world.mount("-t", "overlay", "overlay", "-o",
                          f"lowerdir={lower},upperdir={mount.path}/upper,workdir={mount.path}/work", at=world.place("over"))
    with world.start().client() as client:
        assert freeze(client, overlay) == 0, "it is on no device of its own"
        assert freeze_all(client) == 1
        writer = Writer(overlay.file("f"), DATA)
        assert writer.is_blocked()
        assert thaw(client) == 1
        writer.finish()


def test_mount_in_a_folder_of_roots(world):
    world.place("closed").chmod(0o700)
    mount = world.new("m", at=world.path / "closed" / "m")
    (world.path / "closed").chmod(0o700)
    with world.start().client() as client:
        assert freeze(client, mount) == 1
        assert mount.frozen() and thaw(client) == 1


@pytest.mark.parametrize("name", ["with space", "line\nfeed", "tab\tback\\slash", "\u00e9\u20ac", "-o", "n" * 200])
def test_names_of_mount_points(world, name):
    mount = world.new("m", at=world.path / "d" / name)
    agent = world.start()
    with agent.client() as client:
        assert freeze(client, mount) == 1
        assert mount.frozen() and record(agent)["mounts"] == {mount.path: ("frozen", 0)}
        assert thaw(client) == 1


def test_hidden_mount_is_passed_over(world):
    """A place tells the one on top; nobody can open the one below."""
    below, top, other = world.new("m"), world.new("top", at="m"), world.new("other")
    agent = world.start()
    with agent.client() as client:
        assert freeze_all(client) == 2
        assert (below.frozen(), top.frozen(), other.frozen()) == (False, True, True)
        assert thaw(client) == 2
        assert freeze(client, top) == 1
        assert (below.frozen(), top.frozen()) == (False, True)
        assert thaw(client) == 1


def test_hidden_mount_with_another_place(world):
    below = world.new("m")
    world.bind(below, "bind")
    top = world.new("top", at="m")
    with world.start().client() as client:
        assert freeze_all(client) == 2
        assert below.frozen() and top.frozen() and thaw(client) == 2


def test_read_only_mount(world):
    mount = world.mount("-o", "loop,ro", world.image("m"), at=world.place("m"))
    with world.start().client() as client:
        assert freeze(client, mount) == 1
        assert thaw(client) == 1


# What happens to mounts while they are frozen.

@pytest.mark.parametrize("how", ["hidden", "moved", "detached", "bound"])
def test_what_is_frozen_is_thawed_wherever_it_is_now(world, how):
    mount = world.new("m")
    with world.start().client() as client:
        assert freeze(client, mount) == 1
        if how == "hidden":
            world.mount("-t", "tmpfs", "none", at=mount.path)
        elif how == "moved":
            assert os.system(f"mount --move {mount.path} {world.place('elsewhere')}") == 0
            world.places.append(str(world.path / "elsewhere"))
        elif how == "bound":
            world.bind(mount, "bind")
        else:
            assert os.system(f"umount -l {mount.path}") == 0
        assert mount.frozen()
        assert thaw(client) == 1
        assert not mount.frozen()


def test_mounts_that_came_later_are_left_alone(world):
    mount = world.new("a")
    with world.start().client() as client:
        freeze(client, mount)
        later = world.new("b")
        later.freeze()
        assert thaw(client) == 1
        assert not mount.frozen() and later.frozen()


def test_thawed_by_somebody_else(world):
    a, b = world.new("a"), world.new("b")
    with world.start().client() as client:
        freeze(client, a, b)
        assert a.thaw()
        assert thaw(client) == 1
        assert world.frozen() == [] and status(client) == "thawed" and thaw(client) == 0


def test_frozen_by_somebody_else(world):
    ours, theirs = world.new("a"), world.new("b")
    theirs.freeze()
    agent = world.start()
    with agent.client() as client:
        assert freeze(client, theirs) == 0 and status(client) == "thawed"
        assert freeze_all(client) == 1
        assert record(agent)["mounts"][theirs.path] == ("skipped", errno.EBUSY)
        assert thaw(client) == 1
        assert theirs.frozen() and not ours.frozen()


def test_nothing_of_ours_keeps_a_mount_busy(world):
    mount = world.new("m")
    with world.start().client() as client:
        freeze(client, mount)
        thaw(client)
        mount.close()
        assert os.system(f"umount {mount.path}") == 0


# The policy.

def test_only_what_a_rule_names(world):
    a, b = world.new("a"), world.new("b")
    agent = world.start(freeze=f'mount is "{a.path}"')
    with agent.client() as client:
        assert freeze_all(client) == 1
        assert world.frozen() == [a.path] and record(agent)["mounts"][b.path] == ("skipped", 0)
        assert thaw(client) == 1
        kind, text, code, number = client.error("guest-fsfreeze-freeze-list", {"mountpoints": [a.path, b.path]})
        assert (kind, code) == ("GenericError", 1202) and b.path in text
        row = agent.record(number)
        assert row["kind"] == "refused" and row["obj"] == b.path
        assert world.frozen() == [] and status(client) == "thawed"


def test_excluded(world):
    a, b = world.new("a"), world.new("sub/b")
    agent = world.start(freeze=f'mount beneath "{world.path}"\nexclude beneath "{world.path}/sub"')
    with agent.client() as client:
        assert freeze_all(client) == 1 and world.frozen() == [a.path] and thaw(client) == 1
        assert client.error("guest-fsfreeze-freeze-list", {"mountpoints": [b.path]})[2] == 1202


def test_excluded_of_one_rule_and_allowed_by_another(world):
    a, b = world.new("a"), world.new("sub/b")
    with world.start(freeze=[f'mount beneath "{world.path}"\nexclude beneath "{world.path}/sub"',
                             f'mount is "{b.path}"']).client() as client:
        assert freeze_all(client) == 2 and world.frozen() == [a.path, b.path] and thaw(client) == 2


def test_denied(world):
    a, b = world.new("a"), world.new("b")
    agent = world.start("allow @sync, @info", f'rule never: deny @freeze {{ mount is "{b.path}" }}')
    with agent.client() as client:
        assert freeze_all(client) == 1 and world.frozen() == [a.path]
        assert thaw(client) == 1
        _, _, code, number = client.error("guest-fsfreeze-freeze-list", {"mountpoints": [b.path]})
        assert code == 1203 and agent.record(number)["rule"] == "never"
        assert status(client) == "thawed"


def test_denied_at_another_place(world):
    """Whoever denies a place means what is there, however else it is mounted."""
    a = world.new("a")
    denied = world.bind(a, "denied")
    agent = world.start("allow @sync", f'deny @freeze {{ mount is "{denied.path}" }}')
    with agent.client() as client:
        assert freeze_all(client) == 0
        assert client.error("guest-fsfreeze-freeze-list", {"mountpoints": [a.path]})[2] == 1203
        assert not a.frozen() and status(client) == "thawed"


def test_denied_as_a_whole(world):
    mount = world.new("m")
    with world.start("allow @sync, @info", "deny @freeze").client() as client:
        for command in ("freeze", "freeze-list", "thaw", "status"):
            assert client.error(f"guest-fsfreeze-{command}")[0] == "CommandNotFound"
        assert not mount.frozen()


def test_required_and_frozen(world):
    a, b = world.new("a"), world.new("b")
    with world.start(freeze=f'mount beneath "{world.path}"\nrequired is {{ "{a.path}", "{b.path}" }}').client() as client:
        assert freeze_all(client) == 2 and thaw(client) == 2
        assert freeze(client, b) == 1 and thaw(client) == 1


@pytest.mark.parametrize("why,text", [("hidden", "No such device"), ("busy", "Device or resource busy")])
def test_required_and_not_to_be_had(world, why, text):
    """Then all are thawed again; what somebody else has frozen stays so."""
    first, second, needed, last = (world.new(name) for name in ("a", "b", "needed", "z"))
    if why == "hidden":
        world.mount("-t", "tmpfs", "none", at=needed.path)
    else:
        needed.freeze()
    agent = world.start(freeze=f'mount beneath "{world.path}"\nrequired is "{needed.path}"')
    with agent.client() as client:
        for _ in range(2):
            kind, desc, code, _ = client.error("guest-fsfreeze-freeze")
            assert (kind, code) == ("GenericError", 1301) and needed.path in desc and text in desc
            assert [first.frozen(), second.frozen(), last.frozen()] == [False] * 3
            assert needed.frozen() == (why == "busy")
            assert status(client) == "thawed" and thaw(client) == 0
        assert record(agent)["untold"] == 0


def test_nothing_can_be_frozen(world):
    """One that should have been frozen and was not is an error where nothing else was frozen."""
    below = world.new("m")
    world.mount("-t", "tmpfs", "none", at=below.path)
    with world.start().client() as client:
        kind, desc, code, _ = client.error("guest-fsfreeze-freeze")
        assert (kind, code) == ("GenericError", 1301) and below.path in desc
        assert status(client) == "thawed" and thaw(client) == 0


# The lease.

def expect_late_thaw(client, why):
    kind, text, code, _ = client.error("guest-fsfreeze-thaw")
    assert (kind, code) == ("GenericError", 1302)
    assert why in text and re.search(r"at \d{4}-\d\d-\d\d.\d\d:\d\d:\d\d", text), text
    assert thaw(client) == 0, "said once"


def test_lease_runs_out(world):
    a, b = world.new("a"), world.new("b")
    agent = world.start("allow @sync, @info", "set freeze-timeout 2s")
    with agent.client() as client:
        assert freeze(client, a, b) == 2
        began = time.monotonic()
        writer = Writer(a.file("f"), DATA)
        while status(client) == "frozen":
            assert time.monotonic() - began < 3
            time.sleep(0.02)
        assert 1.9 < time.monotonic() - began < 3
        assert world.frozen() == []
        writer.finish()
        expect_late_thaw(client, "freeze-timeout")
        client.ok("guest-get-osinfo")
        assert freeze(client, a) == 1 and thaw(client) == 1 and thaw(client) == 0
    wait_for(lambda: [row for row in agent.audit("event") if "its lease ran out" in json.dumps(row)], 5, "the event")


def test_lease_runs_out_although_it_is_looked_at(world):
    """Neither status nor a new connection prolongs it, and nobody need be connected."""
    mount = world.new("m")
    agent = world.start("allow @sync", "set freeze-timeout 1s")
    with agent.client() as client:
        freeze(client, mount)
    assert 0.5 < wait_until_thawed([mount], 2)
    with agent.client() as client:
        expect_late_thaw(client, "freeze-timeout")


def test_lease_runs_out_in_silence(world):
    mount = world.new("m")
    with world.start("allow @sync", "set freeze-timeout 1s", "set freeze-expired silent").client() as client:
        freeze(client, mount)
        wait_until_thawed([mount], 2)
        wait_for(lambda: status(client) == "thawed", 1, "the status")
        assert thaw(client) == 0 and thaw(client) == 0


def test_no_lease(world):
    mount = world.new("m")
    agent = world.start("allow @sync", "set freeze-timeout 0s")
    with agent.client() as client:
        freeze(client, mount)
        assert record(agent)["lease_end"] == 0
        time.sleep(1.5)
        assert mount.frozen() and status(client) == "frozen" and thaw(client) == 1


def test_a_new_freeze_has_a_new_lease(world):
    mount = world.new("m")
    with world.start("allow @sync", "set freeze-timeout 2s").client() as client:
        for _ in range(4):
            freeze(client, mount)
            time.sleep(0.7)
            assert mount.frozen() and thaw(client) == 1


# The policy changes meanwhile.

def test_reload_takes_freezing_away(world):
    """Whoever froze may still ask and thaw; what is frozen stays frozen."""
    mount = world.new("m")
    agent = two_channels(world, ["allow guest-fsfreeze-status, guest-fsfreeze-thaw on beta"])
    with agent.client() as alpha, Client(world.path / "beta.sock") as beta:
        freeze(alpha, mount)
        assert status(beta) == "frozen"
        reload(agent, re.sub(r"rule mine0[^}]*}", "", (agent.folder / "policy").read_text()).replace(
            "allow guest-fsfreeze-status, guest-fsfreeze-thaw on beta", ""))
        assert mount.frozen() and status(alpha) == "frozen"
        for command in ("guest-fsfreeze-thaw", "guest-fsfreeze-status"):
            assert beta.error(command)[0] == "CommandNotFound"
        assert mount.frozen()
        assert thaw(alpha) == 1
        assert not mount.frozen()
        assert alpha.error("guest-fsfreeze-status")[2] == 1201
        assert alpha.error("guest-fsfreeze-freeze-list", {"mountpoints": [mount.path]})[2] == 1201
        alpha.ok("guest-get-osinfo")


def test_reload_of_the_lease_holds_for_the_next_freeze(world):
    mount = world.new("m")
    agent = world.start("allow @sync", "set freeze-timeout 0s")
    with agent.client() as client:
        freeze(client, mount)
        reload(agent, world.policy("allow @sync", "set freeze-timeout 1s"))
        time.sleep(1.3)
        assert mount.frozen() and thaw(client) == 1
        freeze(client, mount)
        wait_until_thawed([mount], 2)


# The agent ends.

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_while_frozen(world, number):
    """It thaws first, and the next agent tells it."""
    a, b = world.new("a"), world.new("b")
    agent = world.start("allow @sync, @info", "set freeze-on-restart hold")  # that is for those that do not end in order
    with agent.client() as client:
        freeze(client, a, b)
    writer = Writer(a.file("f"), DATA)
    agent.process.send_signal(number)
    assert agent.process.wait(10) == 0
    assert world.frozen() == []
    writer.finish()
    row = record(agent)
    assert row["state"] == "thawed" and row["untold"] == 1
    agent.start()
    with agent.client() as client:
        assert status(client) == "thawed"
        expect_late_thaw(client, "stopped")
    agent.process.terminate()
    agent.process.wait(10)
    agent.start()
    with agent.client() as client:
        assert thaw(client) == 0, "said once, whoever says it"


@pytest.mark.parametrize("restart", ["thaw", "hold"])
def test_killed_while_frozen(world, restart):
    """All at once: nobody is left to thaw. The next agent goes by the record in the state folder."""
    mounts = [world.new("a"), world.new("b", "ext2", below=world.mounts[0].path)]
    bound = world.bind(mounts[0], "bind")
    agent = world.start("allow @sync, @info", f"set freeze-on-restart {restart}")
    with agent.client() as client:
        assert freeze_all(client) == 2
    family = agent.pids()
    for pid in family:
        kill(pid, signal.SIGSTOP)
    for pid in family:
        kill(pid)
    agent.process.wait()
    time.sleep(0.2)
    assert all(mount.frozen() for mount in mounts), "there is nobody who could have"
    top = world.mount("-t", "tmpfs", "none", at=mounts[0].path)  # where it was is not where it is found
    agent.start()
    with agent.client() as client:
        if restart == "hold":
            assert status(client) == "frozen" and enabled(client) == SIX
            assert all(mount.frozen() for mount in mounts) and bound.frozen()
            assert thaw(client) == 2 and thaw(client) == 0
        else:
            wait_until_thawed(mounts, 2)
            wait_for(lambda: status(client) == "thawed", 1, "the status")
            expect_late_thaw(client, "guarded")
        assert not any(mount.frozen() for mount in mounts) and top
        client.ok("guest-get-osinfo")


@pytest.mark.parametrize("restart", ["thaw", "hold"])
@pytest.mark.parametrize("where", ["state", "audit", "log", "later"])
def test_killed_with_its_own_folders_frozen(world, restart, where):
    """Whoever makes a file there waits until somebody thaws, so the next agent thaws before it makes any. It cannot hold."""
    others, home = [world.new("early")], world.new("home")
    if where == "later":  # what is frozen behind the state folder stands in no record
        others.append(world.bind(world.new("inner", "ext2", below=world.path), "bind"))
    agent = world.agent("allow @sync, @info", f"set freeze-on-restart {restart}")
    command = agent.command()
    home.file("d").mkdir(mode=0o700)
    if where in ("state", "later"):
        command[command.index("-t") + 1] = home.path + "/d"
    else:
        command += ["--audit-dir", home.path + "/d"] if where == "audit" else ["-l", home.path + "/log"]
    agent.command = lambda: command
    agent.start()
    with agent.client() as client:
        assert freeze_all(client) == len(others) + 1
    family = agent.pids()
    for pid in family:
        kill(pid, signal.SIGSTOP)
    for pid in family:
        kill(pid)
    agent.process.wait()
    assert all(mount.frozen() for mount in world.mounts)
    agent.start()
    with agent.client() as client:
        wait_for(lambda: status(client) == "thawed", 5, "the status")
        wait_until_thawed(world.mounts, 5)
        expect_late_thaw(client, "guarded")
        client.ok("guest-get-osinfo")
        assert freeze(client, others[0]) == 1 and thaw(client) == 1


def test_held_with_its_lease(world):
    mount = world.new("m")
    agent = world.start("allow @sync", "set freeze-on-restart hold", "set freeze-timeout 2s")
    with agent.client() as client:
        freeze(client, mount)
    began = time.monotonic()
    for pid in agent.pids():
        kill(pid)
    agent.process.wait()
    agent.start()
    with agent.client() as client:
        assert status(client) == "frozen" and mount.frozen()
        wait_until_thawed([mount], 3 - (time.monotonic() - began))
        expect_late_thaw(client, "freeze-timeout")


def test_the_record_of_another_boot_is_none(world):
    mount = world.new("m")
    agent = world.start("allow @sync", "set freeze-on-restart hold")
    with agent.client() as client:
        freeze(client, mount)
    for pid in agent.pids():
        kill(pid)
    agent.process.wait()
    mount.thaw()
    path = agent.folder / "bulkhead" / "frozen"
    data = bytearray(path.read_bytes())
    data[8:12] = b"0000"
    path.write_bytes(data)
    agent.start()
    with agent.client() as client:
        assert status(client) == "thawed" and thaw(client) == 0
        assert freeze(client, mount) == 1 and thaw(client) == 1


@pytest.mark.parametrize("damage", [b"", b"garbage" * 1000, b"\0" * 5000, b"1ZRF" + b"\xff" * 5000])
def test_a_record_that_is_none(world, damage):
    mount = world.new("m")
    agent = world.start()
    agent.stop()
    (agent.folder / "bulkhead" / "frozen").write_bytes(damage)
    agent.start()
    with agent.client() as client:
        assert status(client) == "thawed" and freeze(client, mount) == 1 and thaw(client) == 1


# Beside qemu-ga, on the same mounts. It is asked to freeze by name only (images.py).

ROWS = [row for row in json.loads((ROOT / "tests" / "differences.json").read_text()) if row.get("suite") == "freeze"]
USED = set()


def plain(world):
    return [world.new("a"), world.new("b")]


def bound(world):
    mount = world.new("m")
    return [world.bind(mount, "bind"), mount, world.bind(mount, "bind2")]


def bound_only(world):
    return [world.bind(world.new("m"), "bind")]


def kinds(world):
    return [world.new(kind, kind) for kind in ("ext4", "ext2", "xfs", "btrfs", "squashfs") if knows(kind)]


def subvolume(world):
    mount = world.new("m", "btrfs")
    os.system(f"btrfs -q subvolume create {mount.path}/sub >/dev/null")
    source = next(line.split()[0] for line in open("/proc/self/mounts") if line.split()[1] == mount.path)
    return [mount, world.mount("-o", "subvol=sub", source, at=world.place("sub"))]


def overlay(world):
    mount = world.new("m")
    mount.file("u").mkdir(), mount.file("w").mkdir()
    world.place("lower")
    return [world.mount("-t", "overlay", "overlay", "-o", f"lowerdir={world.path}/lower,upperdir={mount.path}/u,"
                        f"workdir={mount.path}/w", at=world.place("over"))]


def busy(world):
    mounts = plain(world)
    mounts[1].freeze()
    return mounts


def busy_only(world):
    mount = world.new("m")
    mount.freeze()
    return [mount]


def hidden(world):
    return [world.new("m"), world.new("top", at="m")]


def in_closed(world):
    mount = world.new("m", at=world.path / "closed" / "m")
    (world.path / "closed").chmod(0o700)
    return [mount]


def nested_in_order(world):
    return list(nested(world, "m"))


def oddly_named(world):
    return [world.new("m", at=world.path / "d" / "with space\nand more\\")]


def no_mounts(world):
    return [str(world.path), f"{world.path}/none", f"{world.new('m').path}/"]


def twice(world):
    return [world.new("m")] * 2


def read_only(world):
    return [world.mount("-o", "loop,ro", world.image("m"), at=world.place("m"))]


SCENES = [plain, bound, bound_only, kinds, subvolume, overlay, busy, busy_only, hidden, in_closed, nested_in_order, oddly_named,
          no_mounts, twice, read_only]


def replies(agent, places, restore):
    """What each step of a freeze is answered, as text to be compared. `restore` freezes again what somebody else had
    frozen, which the thaw of qemu-ga thaws."""
    arguments = {"mountpoints": [getattr(place, "path", place) for place in places]}
    steps = [("guest-fsfreeze-status", None), ("guest-fsfreeze-thaw", None), ("guest-fsfreeze-freeze-list", arguments),
             ("guest-fsfreeze-status", None), ("guest-fsfreeze-freeze-list", arguments), ("guest-get-osinfo", None),
             ("guest-ping", None), ("guest-fsfreeze-thaw", None), ("guest-fsfreeze-status", None),
             ("guest-fsfreeze-thaw", None)]
    with agent.client() as client:
        for command, more in steps:
            restore()
            reply = client.call(command, more, timeout=20)
            if "error" in reply:
                reply["error"]["desc"] = CODE.sub("", reply["error"]["desc"])
            elif command == "guest-get-osinfo":
                reply = {"return": {}}
            yield json.dumps({"execute": command, **({"list": True} if more else {})}), json.dumps(reply, sort_keys=True)


def row_for(scene, request, peer, ours):
    for row in ROWS:
        if all(re.search(row[key], text) for key, text in
               (("request", f"{scene} {request}"), ("peer", peer), ("ours", ours))):
            return row["id"]
    return None


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_same_as_qemu_ga(world, scene):
    if not os.path.exists(PEER_PROGRAM):
        pytest.skip(f"{PEER_PROGRAM} is missing (package qemu-guest-agent)")
    if scene is subvolume and not knows("btrfs"):
        pytest.skip("the kernel has no btrfs, or its tools are missing")
    places = scene(world)
    foreign = [mount for mount in world.mounts if mount.frozen()]

    def restore():
        for mount in foreign:
            mount.ask(FIFREEZE)

    theirs = list(replies(world.peer(), places, restore))
    world.thaw()
    ours = list(replies(world.start(), places, restore))
    wrong = []
    for (request, peer), (_, mine) in zip(theirs, ours):
        if peer == mine:
            continue
        row = row_for(scene.__name__, request, peer, mine)
        USED.add(row)
        if row is None:
            wrong.append(f"{request}\n   qemu-ga: {peer}\n   ours:    {mine}")
    assert not wrong, "\n".join(wrong)


def test_every_row_is_used(request):
    """A row that no scene needs is not a difference any more."""
    names = {item.name for item in request.session.items}
    if not os.path.exists(PEER_PROGRAM) or not all(f"test_same_as_qemu_ga[{scene.__name__}]" in names for scene in SCENES):
        pytest.skip("only meaningful after all scenes")
    assert not {row["id"] for row in ROWS} - USED


# Processes that are busy with it, as others see them.

def test_guard_runs_when_it_is_needed_only(world):
    mount = world.new("m")
    agent = world.start()
    with agent.client() as client:
        client.ok("guest-ping"), thaw(client)
        assert {row["role"] for row in agent.processes()} <= {"audit", "front", "storage"}
        freeze(client, mount)
        assert {"thaw", "storage"} <= {row["role"] for row in agent.processes()}
        assert split_error(client.call("guest-get-osinfo"))[2] == 1208
        thaw(client)
