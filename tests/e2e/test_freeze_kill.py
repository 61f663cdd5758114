"""SIGKILL of any process at any step of a freeze: afterwards file systems are thawed, or held as the policy says, and the
agent knows which. Nothing is ever forgotten.

Rounds are drawn by a seed that a failure prints. A round asks for a freeze or a thaw and kills after some milliseconds, which
may be before, within or after it; or kills between them.
"""

import json
import os
import random
import signal
import socket
import time

import pytest

from harness import Gone, alive, kill, wait_for
from images import wait_until_thawed

pytestmark = pytest.mark.root

IMAGES = 6  # some on the disk, where a freeze takes its time, the others in memory
ROUNDS = 12  # for each victim and each setting
VICTIMS = ["front", "audit", "storage", "thaw", "supervisor", "all", "storage+thaw", "stop", "thaw+stop"]  # stop: SIGTERM
SLOW = {"thaw+stop": 6}  # rounds; 204 in all
MOMENTS = ["before", "freezing", "freezing", "frozen", "thawing", "after"]
SECOND = 1.0
PATIENCE = 10.0
ENDS_FREEZE = {"storage", "thaw", "supervisor", "all", "storage+thaw", "stop", "thaw+stop"}  # where the policy does not hold it


class Round:
    """One freeze and its thaw, with a kill somewhere."""

    def __init__(self, agent, mounts, victim, hold, dice, seconds):
        self.agent, self.mounts, self.seconds = agent, mounts, seconds
        self.victim, self.dice = victim, dice
        self.hold = hold and not victim.endswith("stop")
        self.moment = dice.choice(MOMENTS)
        self.patient = dice.random() < 0.5  # a new supervisor waits for the end of what the last one left
        self.frozen = self.thawed = None  # what a client was told: how many
        self.replies = []
        self.client = agent.client(timeout=PATIENCE)

    def run(self):
        soil(self.mounts, self.dice)
        if self.moment == "before":
            self.kill()
        if self.moment in ("before", "freezing"):
            self.frozen = self.ask("guest-fsfreeze-freeze", self.seconds[0] if self.moment == "freezing" else None)
        else:
            self.frozen = self.served("guest-fsfreeze-freeze")["return"]
            assert self.frozen == len(self.mounts)
        if self.moment == "frozen":
            self.kill()
        if self.moment in ("thawing", "after"):
            self.thawed = self.ask("guest-fsfreeze-thaw", self.seconds[1] if self.moment == "thawing" else None)
        if self.moment == "after":
            assert self.thawed == len(self.mounts)
            self.kill()
        self.expect()

    # The kill.

    def ask(self, command, within):
        """Sends a request, kills at some moment of that many seconds, if so. What is returned, or None."""
        try:
            self.client.send(json.dumps({"execute": command}).encode() + b"\n")
            if within is not None:
                time.sleep(self.dice.random() * within)
                self.kill()
            line = self.client.line(timeout=PATIENCE)
            self.replies.append(line)
            return json.loads(line).get("return")
        except (Gone, OSError, ValueError) as error:
            assert not isinstance(error, socket.timeout), "silence"
            return None

    def pids(self):
        family = self.agent.pids()
        if self.victim == "supervisor":
            return family, [self.agent.process.pid]
        if self.victim == "all":
            return family, list(family)
        return family, [row["pid"] for name in self.victim.split("+") for row in self.agent.processes(name)]

    def kill(self):
        if self.victim.endswith("stop"):
            self.stop()
            return
        family, victims = self.pids()
        if self.victim == "all":
            for pid in victims:
                kill(pid, signal.SIGSTOP)
        for pid in victims:
            kill(pid)
        if self.agent.process.pid in victims:
            self.agent.process.wait()
            self.expect_without_supervisor(family)
            self.agent.start()

    def stop(self):
        """In order: whatever is on its way, all is thawed, by the agent or by its guard that is left behind."""
        guards = self.agent.processes("thaw") if self.victim == "thaw+stop" else []
        for row in guards:
            kill(row["pid"])
        self.agent.process.terminate()
        assert self.agent.process.wait(PATIENCE) == 0
        if self.patient:
            wait_until_thawed(self.mounts, 2)
        self.agent.start()

    def expect_without_supervisor(self, family):
        """The guard thaws before it ends, unless it is to hold; nobody else is left behind."""
        if not self.patient:
            return
        wait_for(lambda: not any(alive(*row) for row in family.items()), 5, "all processes to end")
        if self.victim == "supervisor" and not self.hold:
            assert not [mount.path for mount in self.mounts if mount.frozen()], "the guard ended before it had thawed"

    # What has become of it.

    def connect(self):
        """A connection on which the agent answers, and the state."""
        self.client.close()
        self.client = self.agent.client(timeout=PATIENCE)
        self.client.sync()
        return self.client.ok("guest-fsfreeze-status")

    def settled(self):
        """The state, when the kernel agrees with it."""
        state = self.connect()
        if state == "frozen" and not self.may_be_frozen():
            wait_for(lambda: self.client.ok("guest-fsfreeze-status") == "thawed", 5, "what nobody holds to be thawed")
            state = "thawed"
        if state == "thawed":
            wait_until_thawed(self.mounts, 2)
            assert self.connect() == "thawed"
        return state

    def may_be_frozen(self):
        """Where the freeze outlives the kill, or came after it."""
        return self.hold or self.victim not in ENDS_FREEZE or self.moment in ("before", "freezing")

    def must_be_frozen(self):
        return self.moment == "frozen" and (self.hold or self.victim not in ENDS_FREEZE)

    def expect(self):
        state = self.settled()
        assert state == "frozen" or not self.must_be_frozen(), "it was to be held"
        if state == "frozen":
            self.expect_frozen()
        else:
            self.expect_thawed()
        assert self.connect() == "thawed"
        left = [mount.path for mount in self.mounts if mount.thaw()]
        assert not left, f"left frozen: {left}"
        assert self.client.ok("guest-fsfreeze-thaw") == 0
        self.client.close()

    def expect_frozen(self):
        if self.moment == "frozen":
            assert all(mount.frozen() for mount in self.mounts)
        reply = self.served("guest-fsfreeze-thaw")
        if "BH1302" in json.dumps(reply):  # it was being thawed when it was looked at; half a freeze is not held
            assert self.victim in ENDS_FREEZE and not self.must_be_frozen()
            assert not self.hold or self.moment in ("freezing", "thawing")
            return
        assert 0 <= reply.get("return", -1) <= len(self.mounts), reply
        if self.moment == "frozen":
            assert reply["return"] == len(self.mounts)

    def served(self, command):
        """A reply. What died often is held back for a moment; of what died just now the front may not know yet."""
        def answered():
            reply = self.client.call(command, timeout=PATIENCE)
            self.replies.append(reply)
            return None if any(code in json.dumps(reply) for code in ("BH1401", "BH1403")) else reply
        return wait_for(answered, PATIENCE, f"{command} to be served")

    def expect_thawed(self):
        """A client that was told that all is frozen, and did not thaw, is told that it was."""
        reply = self.served("guest-fsfreeze-thaw")
        told = "BH1302" in json.dumps(reply)
        assert told or reply == {"return": 0}, reply
        if self.frozen and self.moment in ("freezing", "frozen"):
            assert told, "nobody said that the freeze has ended"
        if self.thawed:
            assert not told, "it was thawed because a client asked, and it was told so"


def soil(mounts, dice):
    for mount in mounts:
        mount.dirty(dice.randbytes(dice.randrange(1, 200000)))


def seconds_of(agent, mounts, dice):
    """How long a freeze takes, and a thaw, here and now, and a little more."""
    soil(mounts, dice)
    with agent.client() as client:
        times = [time.monotonic()]
        for command in ("guest-fsfreeze-freeze", "guest-fsfreeze-thaw"):
            assert client.ok(command, timeout=PATIENCE) == len(mounts)
            times.append(time.monotonic())
    return [1.2 * (times[1] - times[0]), 1.2 * (times[2] - times[1])]


@pytest.mark.parametrize("hold", [False, True], ids=["thaw", "hold"])
@pytest.mark.parametrize("victim", VICTIMS)
def test_killed(world, victim, hold):
    seed = os.environ.get("BULKHEAD_SEED") or f"{victim} {hold} {random.randrange(10**6)}"
    dice = random.Random(seed)
    mounts = [world.new(f"m{number}", below=world.files if number % 3 == 0 else world.path) for number in range(IMAGES)]
    agent = world.start("allow @sync, @info", f"set freeze-on-restart {'hold' if hold else 'thaw'}")
    seconds = seconds_of(agent, mounts, dice)
    for number in range(SLOW.get(victim, ROUNDS)):
        one = Round(agent, mounts, victim, hold, dice, seconds)
        try:
            one.run()
        except BaseException:
            print(f"BULKHEAD_SEED='{seed}' round {number}: kill of {victim} at {one.moment}, patient {one.patient}, frozen "
                  f"{one.frozen}, thawed {one.thawed}\n{one.replies}\n{agent.log_text()[-3000:]}")
            raise
    with agent.client() as client:
        client.ok("guest-get-osinfo")
    agent.verify()
