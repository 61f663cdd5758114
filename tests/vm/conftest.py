"""Fixtures of the tests in a guest: one guest for all that need no other, an agent per test."""

import pytest

import image
from guest import Guest
from inside import Inside, PeerInside, has_peer, programs


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent == image.HERE:
            item.add_marker("vm")


def boot(more=(), **options):
    """A guest with our programs, and `more`, or a skipped test with the reason why this machine can have none."""
    try:
        image.check_tools()
        image.kernel(bool(options.get("disks")))
    except image.Missing as reason:
        pytest.skip(str(reason))
    return Guest(programs=[*programs(), *more], **options)


@pytest.fixture(scope="session")
def boots():
    """boots(start=..., links=...): a guest of the test's own, for `with`."""
    return boot


@pytest.fixture(scope="session")
def guest():
    with boot() as guest:
        yield guest


@pytest.fixture
def start(guest):
    """start(*options) runs an agent in the guest; it is ended after the test."""
    agents = []

    def run(*options, kind=Inside, **more):
        agents.append(kind(guest, *options, **more))
        return agents[-1].start()

    guest.qmp.forget()
    yield run
    for agent in agents:
        agent.stop()


@pytest.fixture(params=[Inside, PeerInside], ids=lambda kind: kind.program)
def either(request, start):
    """Bulkhead, and then qemu-ga, on the agent's port."""
    if request.param.peer and not has_peer():
        pytest.skip("qemu-ga is missing (package qemu-guest-agent)")
    return start(kind=request.param)
