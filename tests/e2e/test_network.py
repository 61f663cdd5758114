"""Interfaces and routes of a network namespace made for the test, against what `ip` and the kernel's own text say of it."""

import socket
import struct
import subprocess

import pytest

from netns import NetNamespace

pytestmark = pytest.mark.root

COUNTERS = {"rx-bytes", "rx-packets", "rx-errs", "rx-dropped", "tx-bytes", "tx-packets", "tx-errs", "tx-dropped"}
V4_KEYS = {"iface", "destination", "metric", "gateway", "mask", "flags", "refcnt", "use", "mtu", "window", "irtt", "version"}
V6_KEYS = {"iface", "destination", "metric", "source", "nexthop", "desprefixlen", "srcprefixlen", "flags", "refcnt", "use",
           "version"}


@pytest.fixture(scope="module")
def net():
    namespace = NetNamespace()
    yield namespace
    namespace.close()


@pytest.fixture
def ask(start, net):
    """ask(command, policy): the answer of an agent in the namespace."""
    agents = {}

    def run(command, policy="standard"):
        if policy not in agents:
            agents[policy] = start(policy, prefix=net.enter)
        with agents[policy].client() as client:
            return client.ok(command)

    yield run


def interfaces(ask, policy="standard"):
    rows = ask("guest-network-get-interfaces", policy)
    assert len({row["name"] for row in rows}) == len(rows)
    return {row["name"]: row for row in rows}


def ours(text):
    return f"policy 1\n{text}\n"


def test_interfaces_are_what_ip_says(ask, net):
    got, links = interfaces(ask), net.ip("addr")
    assert list(got) == [link["ifname"] for link in links] + ["a0:1"], "links in the kernel's order, then labels"
    for link in links:
        row, name = got[link["ifname"]], link["ifname"]
        assert row.get("hardware-address") == (link["address"] if len(link.get("address", "")) == 17 else None)
        wanted = [(a["local"], "ipv4" if a["family"] == "inet" else "ipv6", a["prefixlen"]) for a in link["addr_info"]
                  if a.get("label", name) == name]
        told = [(a["ip-address"], a["ip-address-type"], a["prefix"]) for a in row.get("ip-addresses", [])]
        assert sorted(told) == sorted(wanted)
        assert "ip-addresses" not in row or row["ip-addresses"], "absent where there is none"
    assert "ip-addresses" not in got["bare"] and "hardware-address" in got["bare"]
    assert "hardware-address" not in got["tun7"]


def test_a_label_is_an_entry_of_its_own(ask, net):
    got = interfaces(ask)
    assert got["a0:1"] == {"name": "a0:1", "hardware-address": got["a0"]["hardware-address"],
                           "ip-addresses": [{"ip-address": "10.1.2.4", "ip-address-type": "ipv4", "prefix": 25}]}


def test_every_interface_has_counters(ask, net):
    got = interfaces(ask)
    for link in net.ip("-s", "link"):
        told, known = got[link["ifname"]]["statistics"], link["stats64"]
        assert set(told) == COUNTERS
        if link["ifname"] in ("lo", "bare", "tun7"):  # nothing moves there
            assert told == {"rx-bytes": known["rx"]["bytes"], "rx-packets": known["rx"]["packets"],
                            "rx-errs": known["rx"]["errors"], "rx-dropped": known["rx"]["dropped"],
                            "tx-bytes": known["tx"]["bytes"], "tx-packets": known["tx"]["packets"],
                            "tx-errs": known["tx"]["errors"], "tx-dropped": known["tx"]["dropped"]}


def test_counters_count(ask, net):
    before = interfaces(ask)["lo"]["statistics"]
    net.run("python3", "-c", "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "for _ in range(5): s.sendto(b'x' * 72, ('127.0.0.1', 9))")
    after = interfaces(ask)["lo"]["statistics"]
    assert after["tx-packets"] - before["tx-packets"] >= 5 and after["tx-bytes"] - before["tx-bytes"] >= 500


def v4(word):
    return socket.inet_ntop(socket.AF_INET, struct.pack("=I", int(word, 16)))


def v6(word):
    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(word))


def kernel_routes(net):
    for line in net.run("cat", "/proc/self/net/route").splitlines()[1:]:
        w = line.split()
        yield {"iface": w[0], "destination": v4(w[1]), "gateway": v4(w[2]), "flags": int(w[3], 16), "refcnt": int(w[4]),
               "use": int(w[5]), "metric": int(w[6]) % 2**32, "mask": v4(w[7]), "mtu": int(w[8]), "window": int(w[9]),
               "irtt": int(w[10]), "version": 4}
    for line in net.run("cat", "/proc/self/net/ipv6_route").splitlines():
        w = line.split()
        yield {"destination": v6(w[0]), "desprefixlen": str(int(w[1], 16)), "source": v6(w[2]),
               "srcprefixlen": str(int(w[3], 16)), "nexthop": v6(w[4]), "metric": int(w[5], 16), "refcnt": int(w[6], 16),
               "use": int(w[7], 16), "flags": int(w[8], 16), "iface": w[9], "version": 6}


def test_routes_are_what_the_kernel_says(ask, net):
    got = ask("guest-network-get-route")
    assert got == list(kernel_routes(net))
    assert got == ask("guest-network-get-route"), "the same when asked again"
    assert {frozenset(row) for row in got} == {frozenset(V4_KEYS), frozenset(V6_KEYS)}
    one = next(row for row in got if row["destination"] == "198.51.100.0")
    assert (one["metric"], one["window"], one["gateway"], one["iface"]) == (4000000000, 7000, "10.1.2.9", "a0")
    assert next(row for row in got if row["destination"] == "203.0.113.0")["iface"] == "*"


def test_a_new_route_and_a_new_interface_are_seen(ask, net):
    names = set(interfaces(ask))
    net.run("ip", "link", "add", "late", "type", "bridge")
    net.run("ip", "route", "add", "100.64.0.0/10", "dev", "b0")
    try:
        assert set(interfaces(ask)) == names | {"late"}
        assert any(row["destination"] == "100.64.0.0" for row in ask("guest-network-get-route"))
    finally:
        net.run("ip", "link", "del", "late")
        net.run("ip", "route", "del", "100.64.0.0/10")


def test_a_name_that_is_no_text(ask, net):
    name = b"n\xff*\"\\"
    net.run("ip", "link", "add", name, "type", "bridge")
    try:
        assert "n\ufffd*\"\\" in interfaces(ask)
        assert "n\ufffd*\"\\" not in interfaces(ask, ours('use standard\ndeny @net { interfaces "n?\\\\*" "n?*" }'))
    finally:
        net.run("ip", "link", "del", name)


def test_many_interfaces(ask, net, count=60):
    """More than one datagram of the kernel's answer."""
    script = "".join(f"link add many{n} type bridge\n" for n in range(count))
    net.run("sh", "-c", f"ip -batch - <<'END'\n{script}END\n")
    try:
        assert {f"many{n}" for n in range(count)} <= set(interfaces(ask))
    finally:
        net.run("sh", "-c", "ip -batch - <<'END'\n" + script.replace("add", "del") + "END\n")


NAMES_MAX, ROUTES_MAX = 4096, 8192


def test_as_many_names_as_there_may_be(start):
    """Labels are names too, and quickly made."""
    net = NetNamespace("ip link add label type bridge")

    def add(first, end):
        lines = [f"addr add 10.1.{n >> 8}.{n & 255}/32 dev label label label:{n:09}\n" for n in range(first, end)]
        subprocess.run([*net.enter, "ip", "-batch", "-"], input="".join(lines), text=True, check=True)

    try:
        with start("standard", prefix=net.enter).client() as client:
            add(2, NAMES_MAX)  # beside lo and label
            assert len(client.ok("guest-network-get-interfaces")) == NAMES_MAX
            add(NAMES_MAX, NAMES_MAX + 1)
            _, text, code, _ = client.error("guest-network-get-interfaces")
            assert code == 1404 and "more than 4096 interfaces" in text
        with start('policy 1\nuse standard\ndeny @net { interfaces "label:*" }\n', prefix=net.enter).client() as client:
            assert [row["name"] for row in client.ok("guest-network-get-interfaces")] == ["lo", "label"]
    finally:
        net.close()


def test_as_many_routes_as_there_may_be(start):
    """The memory of one request holds them, with the longest texts; one more is an error that says what to do."""
    net = NetNamespace("ip link set lo up\nip link add name-of-fifteen type bridge\nip link set name-of-fifteen up")
    try:
        agent = start("standard", prefix=net.enter)
        with agent.client() as client:
            have = len(client.ok("guest-network-get-route"))
            lines = [f"route add 2001:db8:ffff:{n:x}:ffff:ffff:ffff:fff{n % 8 + 8:x}/128 dev name-of-fifteen metric {n + 9}\n"
                     for n in range(ROUTES_MAX - have)]
            subprocess.run([*net.enter, "ip", "-6", "-batch", "-"], input="".join(lines), text=True, check=True)
            assert len(client.ok("guest-network-get-route")) == ROUTES_MAX
            net.run("ip", "route", "add", "192.0.2.0/24", "dev", "name-of-fifteen")
            _, text, code, _ = client.error("guest-network-get-route")
            assert code == 1404 and "more than 8192 routes" in text
        with start('policy 1\nallow @net { interfaces "lo" }\nallow @sync\n', prefix=net.enter).client() as client:
            assert len(client.ok("guest-network-get-route")) < 100, "what is hidden is not counted"
    finally:
        net.close()


FILTERS = {
    'allow @net { interfaces "a0" }': {"a0"},
    'allow @net { interfaces "a0*" "t??7" }': {"a0", "a0:1", "tun7"},
    'allow @net { interfaces "*" }': {"lo", "a0", "a0:1", "b0", "bare", "tun7"},
    'allow @net { interfaces "nothing" }': set(),
    'use standard\ndeny @net { interfaces "lo" "b*" }': {"a0", "a0:1", "tun7"},
    'use standard\ndeny @net { interfaces "a0" }': {"lo", "b0", "bare", "tun7"},
    'use standard\ndeny @net { interfaces "a0:*" }': {"lo", "a0", "b0", "bare", "tun7"},
    'use standard\ndeny @net { interfaces "*" }': set(),
    'allow @net { interfaces "a0*" }\ndeny @net { interfaces "?0" }': set(),
    'use standard\nrule x: allow @net { interfaces "tun7" }\ndeny @net except x { interfaces "*" }': {"tun7"},
    'use standard\nrule x: allow @net { interfaces "tun7" }\ndeny @net except x': {"tun7"},
}


@pytest.mark.parametrize("text", FILTERS)
def test_filters(ask, net, text):
    assert set(interfaces(ask, ours(text))) == FILTERS[text]


@pytest.mark.parametrize("text,hidden", [
    ('use standard\ndeny @net { interfaces "a0" }', {"a0"}),
    ('allow @net { interfaces "a0" }', {"b0", "lo", "tun7", "*"}),
    ('use standard\ndeny guest-network-get-route { interfaces "*" }', {"a0", "b0", "lo", "tun7", "*"}),
])
def test_routes_of_hidden_interfaces_are_hidden(ask, net, text, hidden):
    got = ask("guest-network-get-route", ours(text))
    assert got == [row for row in kernel_routes(net) if row["iface"] not in hidden]


def test_a_filter_refuses_nothing(start, net):
    agent = start(ours('allow @sync\nallow @net { interfaces "none" }\nallow guest-get-users\n'
                       'deny guest-get-users { users "*" }'), prefix=net.enter)
    with agent.client() as client:
        rows = {row["name"]: row["enabled"] for row in client.ok("guest-info")["supported_commands"]}
        assert rows["guest-network-get-interfaces"] and rows["guest-network-get-route"] and rows["guest-get-users"]
        assert client.ok("guest-network-get-interfaces") == client.ok("guest-network-get-route") == []


def test_a_deny_without_a_filter_refuses(start, net):
    agent = start(ours("use standard\ndeny @net"), prefix=net.enter)
    with agent.client() as client:
        rows = {row["name"]: row["enabled"] for row in client.ok("guest-info")["supported_commands"]}
        assert not rows["guest-network-get-interfaces"]
        assert client.error("guest-network-get-interfaces")[0] == "CommandNotFound"
