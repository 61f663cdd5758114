"""SIGKILL of any process while executions run, at any moment: nothing of an execution survives those who answer for it, the
agent serves again, and the log is whole. And what `set on-restart keep` keeps.

Rounds are drawn by a seed that a failure prints.
"""

import os
import random
import signal
import socket
import time

import pytest

from execs import (MNT, Pair, begin, carriers, copy, finish, is_unknown, mark, nobody_carries, request, rule, run, scratch, serving,
                   trusted_place)
from harness import Gone, alive, kill, wait_for

pytestmark = pytest.mark.root
SANDBOXES = {"minimal": [], "diag": ["sandbox diag"], "plain": ["sandbox plain", "user nobody"], "none": ["sandbox none", "user daemon"]}
OF_EXEC = ("minimal", "diag", "plain")
ROUNDS = 12  # for each victim
# Whose executions end with a victim. The spool takes results along, nobody's processes.
TAKES = {"exec": OF_EXEC, "spawn": ("none",), "spool": (), "front": (), "audit": (), "supervisor": tuple(SANDBOXES),
         "all": tuple(SANDBOXES)}
STAYS = "setsid sleep 50 >/dev/null 2>&1 & sleep 50 & wait"
BRIEF = "sleep 0.0{0}; echo out; setsid sleep 0.0{0} & exit 3"


def rules(*lines):
    lines += ("allow @extension on alpha",)
    return [rule(name, copy("/bin/sh", MNT / f"sh-{name}"), "rest any dash-ok", 'env "MARK"', "timeout 60s", *more) for name, more in
            SANDBOXES.items()] + list(lines)


@pytest.fixture(scope="module")
def agent():
    with serving(rules) as pair:
        yield pair


class Round:
    """Executions of each sandbox, some that stay and some that may end at any moment, and a kill within them."""

    def __init__(self, agent, victim, dice):
        self.agent, self.victim, self.dice = agent, victim, dice
        self.client = agent.client()
        self.stay, self.brief = {}, {}  # {name: (number, what its processes carry)}

    def run(self):
        for name in SANDBOXES:
            self.start(name, self.stay, STAYS)
        for name, word in self.stay.items():
            wait_for(lambda: len(carriers(word[1])) >= 3, 5, f"{name} to run")
        killer = time.monotonic() + self.dice.random() * 0.05
        for name in self.dice.choices(list(SANDBOXES), k=6):
            if time.monotonic() > killer:
                break
            self.start(f"{name} {len(self.brief)}", self.brief, BRIEF.format(self.dice.randrange(10)))
        self.kill()
        self.expect()

    def start(self, name, into, script):
        word = mark()
        into[name] = begin(self.client, MNT / f"sh-{name.split()[0]}", "-c", script, word, env=[f"MARK={word}"]), word

    def kill(self):
        family = self.agent.pids()
        if self.victim == "supervisor":
            victims = [self.agent.process.pid]
        elif self.victim == "all":
            victims = list(family)
        else:
            victims = [row["pid"] for row in self.agent.processes(self.victim)]
        assert victims
        for pid in victims:
            kill(pid)
        if self.agent.process.pid in victims:
            self.agent.process.wait()
            for _, word in [*self.stay.values(), *self.brief.values()]:
                nobody_carries(word, 3)
            wait_for(lambda: not any(alive(*row) for row in family.items()), 5, "all processes to end")
            self.agent.start()

    def expect(self):
        self.client.close()
        self.client = self.agent.client()
        self.expect_stay()
        for number, word in self.brief.values():
            nobody_carries(word, 3)
            self.settled(number)
        for name in SANDBOXES:
            self.works(name)
        self.expect_stay()  # nor did a successor end them
        self.expect_records()

    def expect_stay(self):
        for name, (number, word) in self.stay.items():
            if name in TAKES[self.victim]:
                nobody_carries(word, 3)
                self.settled(number)
            else:
                assert len(carriers(word)) >= 3, f"{name} ended with {self.victim}"
                assert self.told(number) == "runs" or self.victim == "spool"

    def close(self):
        """What stays is ended: processes of one user may be so many."""
        self.client.close()
        for _, word in self.stay.values():
            for pid in carriers(word):
                kill(pid)

    def told(self, number):
        reply = self.asked("guest-exec-status", {"pid": number})
        if "error" in reply:
            assert f"PID {number} does not exist" in reply["error"]["desc"], reply
            return "unknown"
        return "over" if reply["return"]["exited"] else "runs"

    def settled(self, number):
        wait_for(lambda: self.told(number) != "runs", 5, f"{number} to be over")

    def asked(self, command, arguments):
        """A reply. What died often is held back for a moment; of what died just now the front may not know yet."""
        def answered():
            try:
                reply = self.client.call(command, arguments, timeout=5)
                return None if any(f"(BH{code}" in str(reply) for code in (1401, 1403)) else reply
            except (Gone, OSError) as error:
                assert not isinstance(error, socket.timeout), "silence"
                self.client.close()
                self.client = self.agent.client()
                return None
        return wait_for(answered, 10, f"an answer to {command}")

    def works(self, name):
        reply = self.asked("guest-exec", {"path": str(MNT / f"sh-{name}"), "arg": ["-c", "exit 5"]})
        self.settled_with(reply["return"]["pid"])

    def settled_with(self, number):
        got = {}

        def over():
            got.update(self.asked("guest-exec-status", {"pid": number})["return"])
            return got["exited"]
        wait_for(over, 5, "it to end")
        assert got["exitcode"] == 5

    def expect_records(self):
        """Each that ran was announced, under its own rule."""
        for name, (_, word) in [*self.stay.items(), *self.brief.items()]:
            wait_for(lambda: [row for row in self.agent.audit("act") if word in row["text"] and row["rule"] == name.split()[0]], 5,
                     f"the record of {name}")


@pytest.mark.parametrize("victim", TAKES)
def test_killed(agent, victim):
    seed = os.environ.get("BULKHEAD_SEED") or f"{victim} {random.randrange(10**6)}"
    dice = random.Random(seed)
    for number in range(ROUNDS):
        one = Round(agent, victim, dice)
        try:
            one.run()
        except BaseException:
            print(f"BULKHEAD_SEED='{seed}' round {number}: {one.stay} {one.brief}\n{agent.log_text()[-3000:]}")
            raise
        finally:
            one.close()
    agent.verify()


def test_a_successor_cancels_what_another_process_runs(agent):
    """bulkhead-spawn goes on while its exec worker has a successor, which must find it again."""
    word = mark()
    with agent.client() as client:
        number = begin(client, MNT / "sh-none", "-c", STAYS, env=[f"MARK={word}"])
        wait_for(lambda: len(carriers(word)) >= 3, 5, "it to run")
        kill(agent.pid("exec"))
        wait_for(lambda: "return" in client.call("guest-exec", request(MNT / "sh-plain", "-c", ":")), 5, "a successor")
        client.ok("bulkhead-exec-signal", {"pid": number, "signal": "kill"})
        nobody_carries(word, 3)
        assert finish(client, number).signal == signal.SIGKILL
        for wrong in (number + 2, number + 1, 1, -1, 0):
            assert is_unknown(client, "bulkhead-exec-signal", wrong)


def keepers(agent, owner):
    return {pid for pid in agent.pids() if os.path.exists(f"/proc/{pid}") and parent(pid) == owner}


@pytest.mark.parametrize("name", SANDBOXES)
def test_killed_keeper(agent, name):
    """Who answers for one execution alone: what it has ends with all that it started, and is told as killed; others go on."""
    with agent.client() as client:
        shell, words = MNT / f"sh-{name}", [mark(), mark()]
        other = begin(client, shell, "-c", STAYS, env=[f"MARK={words[0]}"])
        owner = agent.pid("spawn" if name == "none" else "exec")
        before = keepers(agent, owner)
        number = begin(client, shell, "-c", STAYS, env=[f"MARK={words[1]}"])
        for word in words:
            wait_for(lambda: len(carriers(word)) >= 3, 5, "it to run")
        [keeper] = keepers(agent, owner) - before
        kill(keeper)
        nobody_carries(words[1], 3)
        got = wait_for(lambda: (reply := client.ok("guest-exec-status", {"pid": number}))["exited"] and reply, 5, "its end")
        assert got.get("signal") == signal.SIGKILL or "exitcode" not in got
        assert len(carriers(words[0])) >= 3
        client.ok("bulkhead-exec-signal", {"pid": other, "signal": "kill"})
        nobody_carries(words[0], 3)
        assert run(client, shell, "-c", "exit 5").exitcode == 5


def parent(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


# What becomes of executions when the agent is stopped.

LAST = "sleep 1; head -c 200000 /dev/zero || exit; echo written >>$0; sleep 0.1"


def stopped_while_running(folder, *lines):
    """{sandbox: did it go on to its end?} when the agent gets SIGTERM in the middle, and is started again at once."""
    with Pair(folder, *rules(*lines)) as agent:
        words = {}
        with agent.client() as client:
            for name in SANDBOXES:
                words[name] = mark()
                out = folder / name
                out.touch()
                out.chmod(0o666)
                begin(client, MNT / f"sh-{name}", "-c", LAST, str(out), env=[f"MARK={words[name]}"])
        for word in words.values():
            wait_for(lambda: carriers(word), 5, "it to run")
        start = time.monotonic()
        agent.process.terminate()
        assert agent.process.wait(5) == 0 and time.monotonic() - start < 3
        lives = {name: bool(carriers(word)) for name, word in words.items()}
        agent.start()
        with agent.client() as client:
            client.ok("guest-ping")
            for word in words.values():
                nobody_carries(word, 5)
            for name in SANDBOXES:
                assert run(client, MNT / f"sh-{name}", "-c", "exit 5").exitcode == 5
        agent.verify()
        return lives, {name: (folder / name).read_text() == "written\n" for name in SANDBOXES}


@pytest.mark.parametrize("lines, kept", [([], ()), (["set on-restart kill"], ()), (["set on-restart keep"], ("plain", "none"))])
def test_stopped(lines, kept):
    """Kept are those that no sandbox holds; they can still write, to nobody, and end by themselves."""
    with scratch() as folder, trusted_place():
        folder.chmod(0o777)
        lives, wrote = stopped_while_running(folder, *lines)
    assert {name for name, value in lives.items() if value} == set(kept)
    assert {name for name, value in wrote.items() if value} == set(kept)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_of_an_agent_that_ended(how):
    """However it ends: daemons of each sandbox included."""
    with scratch() as folder, trusted_place():
        agent = Pair(folder, *rules()).start()
        try:
            word = mark()
            with agent.client() as client:
                for name in SANDBOXES:
                    begin(client, MNT / f"sh-{name}", "-c", STAYS, env=[f"MARK={word}"])
            wait_for(lambda: len(carriers(word)) >= 12, 5, "them to run")
            kill(agent.process.pid, how)
            agent.process.wait(5)
            nobody_carries(word, 3)
        finally:
            agent.stop()
