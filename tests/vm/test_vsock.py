"""vsock, by the loopback of the guest's kernel: the client is in the guest too, and its address (CID) is 1, "local"."""

import json
import shlex

import pytest

ANY_CID, LOCAL_CID, PORT = 4294967295, 1, 1234
POLICY = "policy 1\nuse standard\n"


@pytest.fixture
def listen(start):
    """listen(policy) starts an agent on the vsock."""
    def run(policy):
        agent = start("-p", f"{ANY_CID}:{PORT}", method="vsock-listen", policy=policy)
        for _ in range(100):
            if agent.guest.shell("grep -qs listening /tmp/agent/log", check=False).status == 0:
                return agent
        raise AssertionError(f"it does not listen: {agent.log()}")
    return run


def say(guest, *requests):
    """Sends the requests on one connection: (how the relay ended, what came back)."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = guest.shell(f"printf %s {shlex.quote(lines)} | vsock-relay {LOCAL_CID} {PORT} {len(requests)}", check=False)
    return done.status, [json.loads(line) for line in done.text.splitlines() if line.startswith("{")]


PING = {"execute": "guest-ping"}


@pytest.mark.parametrize("words", ["local", "host local", "any"])
def test_local_peer_is_served_where_the_policy_says_so(guest, listen, words):
    listen(POLICY + f"set vsock-peers {words}\n")
    for _ in range(3):
        status, replies = say(guest, PING, {"execute": "guest-get-host-name"})
        assert (status, replies) == (0, [{"return": {}}, {"return": {"host-name": "guest"}}])


@pytest.mark.parametrize("policy", [POLICY, POLICY + "set vsock-peers host\n"], ids=["default", "host"])
def test_local_peer_is_refused_else(guest, listen, policy):
    agent = listen(policy)
    status, replies = say(guest, PING)
    assert (status, replies) == (1, []), "the connection was neither served nor ended"
    assert "1" in agent.log().splitlines()[-1] and "refused" in agent.log()


def test_a_port_in_use_is_refused_with_a_sentence(guest, listen):
    listen(POLICY + "set vsock-peers local\n")
    done = guest.shell(f"mkdir -p /tmp/second; bulkhead -m vsock-listen -p {ANY_CID}:{PORT} -t /tmp/second", check=False)
    assert done.status == 1
    assert str(PORT) in done.text and "in use" in done.text.lower(), done.text
