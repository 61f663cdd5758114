"""Two channels under different policies: neither sees the other's handles, rules, rates or records, and whatever
happens to one leaves the other as it was."""

import json
import random
import threading
import time

import pytest

from harness import MIB, Agent, Client, Gone, kill, split_error, stat_of, wait_for

ROUNDS = 60
FLOOD_S = 2.0
PATIENCE = 2.0  # seconds: what one channel may make another one wait, at the very most, on a busy machine


class Twins(Agent):
    """An agent with the channels alpha and beta, each with a folder of its own."""

    def __init__(self, folder):
        self.places = {name: folder / name for name in ("alpha", "beta")}
        for name, place in self.places.items():
            place.mkdir(parents=True)
            (place / "file").write_text(name)
        rules = "\n".join(f'rule {name}-files: allow @file-read on {name} {{ path beneath "{place}" }}'
                          for name, place in self.places.items())
        channels = "\n".join(f"channel {name} unix-listen:{folder}/{name}.sock" for name in self.places)
        super().__init__(folder / "agent", f"policy 1\ncommands 49\n{channels} only @sync, @info, @file-read\n"
                         f"allow @sync, @info on alpha, beta\nallow @net on alpha\n{rules}\n")
        self.sockets = {name: folder / f"{name}.sock" for name in self.places}
        self.socket = self.sockets["alpha"]

    def client(self, name="alpha", timeout=10.0):
        if isinstance(name, (int, float)):
            return Client(self.socket, name)
        return Client(self.sockets[name], timeout)

    def of(self, channel):
        """Processes of a channel."""
        return [row for row in self.processes() if row["channel"] == channel]


@pytest.fixture
def twins(folder):
    agent = Twins(folder)
    with agent:
        yield agent


def granted(client):
    return {row["name"] for row in client.ok("guest-info")["supported_commands"] if row["enabled"]}


def test_each_has_its_rules(twins):
    with twins.client("alpha") as alpha, twins.client("beta") as beta:
        for client, own, other in ((alpha, "alpha", "beta"), (beta, "beta", "alpha")):
            assert client.read(client.open(twins.places[own] / "file"))[0].decode() == own
            kind, _, code, _ = client.error("guest-file-open", {"path": str(twins.places[other] / "file")})
            assert (kind, code) == ("GenericError", 1202)
        assert granted(alpha) > granted(beta)


def test_each_has_its_handles(twins):
    with twins.client("alpha") as alpha, twins.client("beta") as beta:
        handles = {client: [client.open(twins.places[name] / "file") for _ in range(20)]
                   for client, name in ((alpha, "alpha"), (beta, "beta"))}
        for client, other in ((alpha, beta), (beta, alpha)):
            for handle in set(handles[other]) - set(handles[client]):
                for command in ("guest-file-read", "guest-file-close"):
                    assert f"handle '{handle}' has not been found" in client.error(command, {"handle": handle})[1]
        for client, name in ((alpha, "alpha"), (beta, "beta")):
            for handle in handles[client]:
                assert client.read(handle)[0].decode() == name
        rows = {row["name"]: row for row in twins.status()["channels"]}
        assert (rows["alpha"]["handles"], rows["beta"]["handles"]) == (20, 20)


def test_each_has_its_processes(twins):
    with twins.client("alpha") as alpha, twins.client("beta") as beta:
        for client, name in ((alpha, "alpha"), (beta, "beta")):
            client.ok("guest-get-host-name")
            client.open(twins.places[name] / "file")
        roles = {name: {row["role"]: row["pid"] for row in twins.of(name)} for name in twins.places}
    assert set(roles["alpha"]) == set(roles["beta"]) >= {"front", "info", "fs"}
    assert not set(roles["alpha"].values()) & set(roles["beta"].values())


def test_each_has_its_records(twins):
    with twins.client("alpha") as alpha, twins.client("beta") as beta:
        numbers = {"alpha": [], "beta": []}
        for _ in range(20):
            for client, name in ((alpha, "alpha"), (beta, "beta")):
                numbers[name].append(client.error("guest-file-open", {"path": "/etc/shadow"})[3])
    for name, own in numbers.items():
        for number in own:
            assert twins.record(number)["src"].startswith(name + "/")
    assert len({*numbers["alpha"], *numbers["beta"]}) == 40
    rows = {row["name"]: row for row in twins.status()["channels"]}
    assert rows["alpha"]["denials"] == rows["beta"]["denials"] == 20


def test_who_is_refused_over_and_over_slows_nobody_else(twins):
    """Refusals are paced per source: after two hundred of them alpha waits for each, beta for none."""
    request = json.dumps({"execute": "guest-file-open", "arguments": {"path": "/etc/shadow"}}).encode() + b"\n"
    with twins.client("alpha") as alpha, twins.client("beta") as beta:
        alpha.send(request * 400)
        for _ in range(150):
            assert split_error(alpha.reply())[2] == 1202
        begun = time.monotonic()
        for _ in range(20):
            assert beta.error("guest-file-open", {"path": "/etc/shadow"})[2] == 1202
        quick = time.monotonic() - begun
        begun = time.monotonic()
        for _ in range(100):
            alpha.reply()
        assert quick / 20 < (time.monotonic() - begun) / 100


def steady(client, place, stop, faults, waits):
    """What a monitoring host does, until told to stop: every answer must be right, and soon."""
    try:
        handle = client.open(place / "file")
        while not stop.is_set():
            begun = time.monotonic()
            assert client.ok("guest-ping") == {}
            assert client.ok("guest-get-host-name")["host-name"]
            assert client.ok("guest-file-seek", {"handle": handle, "offset": 0, "whence": "set"})["position"] == 0
            assert client.read(handle)[0] == b"beta"
            waits.append(time.monotonic() - begun)
    except Exception as fault:
        faults.append(fault)


@pytest.fixture
def beside(twins):
    """Beta is asked all the time; at the end nothing of it may have gone wrong."""
    stop, faults, waits = threading.Event(), [], []
    with twins.client("beta") as client:
        thread = threading.Thread(target=steady, args=(client, twins.places["beta"], stop, faults, waits))
        thread.start()
        yield twins
        stop.set()
        thread.join(30)
    assert not thread.is_alive() and not faults, faults
    assert len(waits) > 50 and max(waits) < PATIENCE, (len(waits), max(waits))
    assert {row["restarts"] for row in twins.of("beta")} == {0}
    assert twins.verify().returncode == 0
    lost = [row for row in twins.audit("gap") + twins.audit("lost") if row["src"].startswith("beta/")]
    assert not lost


def test_killing_one_leaves_the_other(beside):
    dice = random.Random(7)
    for number in range(ROUNDS):
        try:
            with beside.client("alpha") as client:
                client.ok("guest-get-host-name")
                client.open(beside.places["alpha"] / "file")
                pid = dice.choice(beside.of("alpha"))["pid"]
                kill(pid)
                wait_for(lambda: not stat_of(pid), 5, "its end")  # what met it dying would be told so
                client.call("guest-ping", timeout=5)
        except (Gone, ConnectionError):
            pass
    with beside.client("alpha") as client:
        wait_for(lambda: "return" in client.call("guest-ping"), 5, "alpha to be there again")


def flood(client, piece):
    """Sends for FLOOD_S seconds whatever is taken, and reads nothing."""
    end = time.monotonic() + FLOOD_S
    client.socket.settimeout(0.05)
    while time.monotonic() < end:
        try:
            client.socket.sendall(piece)
        except TimeoutError:
            continue
        except (ConnectionError, BrokenPipeError):
            return


@pytest.mark.parametrize("piece", [b'{"execute":"guest-ping"}\n' * 1000, b"\xff" * MIB, b"[" * MIB, b'"' + b"x" * MIB,
                                   b"}{" * MIB], ids=["pings", "0xFF", "brackets", "string", "garbage"])
def test_flooding_one_leaves_the_other(beside, piece):
    with beside.client("alpha") as client:
        flood(client, piece)
    with beside.client("alpha", timeout=30) as client:
        client.sync()
        assert client.ok("guest-ping") == {}


def test_refusals_of_one_leave_the_other(beside):
    """What alpha's client has sent is refused to the end, at the pace of refusals, after he has left; beta never waits."""
    with beside.client("alpha") as client:
        flood(client, b'{"execute":"guest-file-open","arguments":{"path":"/etc/shadow"}}\n' * 500)
