"""Random policies and requests through the compiler and evaluation of the product, and through the naive evaluator.

BH_RANDOM_PAIRS sets how many pairs of policy and request are judged; BH_RANDOM_SEED repeats a run.
"""

import copy
import os
import random

import pytest

import model
from batch import Batch

PAIRS = int(os.environ.get("BH_RANDOM_PAIRS", "200000"))
SEED = int(os.environ.get("BH_RANDOM_SEED", random.SystemRandom().randrange(1 << 32)))
REQUESTS = 80
CONFLICT = "can both match one "


@pytest.fixture
def batch():
    running = Batch()
    yield running
    running.close()


def runs(part):
    """(random, policy, requests), as many as `part` of the pairs need; about a quarter of the policies is refused."""
    for n in range(max(1, int(PAIRS * part * 4 / 3) // REQUESTS)):
        source = random.Random(f"{SEED}/{n}")
        policy = model.random_policy(source)
        yield source, policy, [model.random_request(source, policy) for _ in range(REQUESTS)]


def compiles(batch, policy):
    """False for a policy whose rules disagree; any other refusal is a fault of the model or of the compiler."""
    done, findings = batch.compile(model.render(policy))
    assert done or all(CONFLICT in line for line in findings if line.startswith("error")), (SEED, findings, policy)
    return done


def verdicts(batch, policy, requests):
    return [verdict for verdict, _ in batch.decide(with_known_users(policy, requests))]


def used_on(policy, request):
    """Is the request's account one of the slice? Only then the question can be put."""
    if not request.get("user"):
        return True
    return any(rule["user"] == request["user"] and rule["effect"] == "allow" and model.holds_on(rule, request["channel"]) and
               model.names(rule, model.OPEN) and model.under_ceiling(policy, request["channel"], model.OPEN) and
               model.rule_verbs(rule) & model.ceiling_verbs(policy, request["channel"])
               for file in policy["files"] for rule in file)


def with_known_users(policy, requests):
    """A slice that does not name an account has no index for it: nobody's."""
    return [{**request, "user": request["user"] if used_on(policy, request) else None} if "user" in request else request
            for request in requests]


def test_same_verdict_and_rule(batch):
    seen, refused = {}, 0
    for _, policy, requests in runs(1):
        requests = [request if used_on(policy, request) else {**request, "user": None} for request in requests]
        if not compiles(batch, policy):
            refused += 1
            continue
        for request, (verdict, rule) in zip(requests, batch.decide(requests)):
            expected, names = model.decide(policy, request)
            assert (verdict, rule in names) == (expected, True), (SEED, policy, request, rule, names)
            kind = verdict + (" exec" if "exec" in request else "")
            seen[kind] = seen.get(kind, 0) + 1
    if PAIRS >= 20000:
        assert set(seen) == {"allow", "not-granted", "no-rule", "denied", "required", "optional", "allow exec", "not-granted exec",
                             "no-rule exec", "denied exec"}, seen
        assert seen["allow exec"] > PAIRS * 0.01, seen
        assert sum(seen.values()) > PAIRS * 0.9, (seen, refused)


def test_what_compiles_does_not_disagree(batch):
    """No request of a policy that compiled matches two rules that settle it differently; and some policies are refused."""
    refused = {"file": 0, "execution": 0}
    for _, policy, requests in runs(1):
        done, findings = batch.compile(model.render(policy))
        for what in refused:
            refused[what] += any(CONFLICT + what in line for line in findings)
        if not done:
            continue
        for request in requests:
            if request["command"] == model.OPEN and model.under_ceiling(policy, request["channel"], model.OPEN):
                assert model.disagreement(policy, request) is None, (SEED, policy, request)
            if "exec" in request and model.under_ceiling(policy, request["channel"], model.EXEC):
                assert model.exec_disagreement(policy, request) is None, (SEED, policy, request)
    assert all(refused.values()) or PAIRS < 20000, refused


def test_a_deny_never_allows(batch):
    changed = 0
    for source, policy, requests in runs(0.25):
        if not compiles(batch, policy):
            continue
        before = verdicts(batch, policy, requests)
        deny = model.random_rule(source, policy, 99, {})
        denies = {rule["name"] for file in policy["files"] for rule in file if rule["effect"] == "deny"}
        deny.update(effect="deny", mounts=[("mount", kind, path) for _, kind, path in deny["mounts"]],
                    **{"except": [name for name in deny["except"] if name not in denies]}, **model.AGREE)
        policy["files"][-1].append(deny)
        assert compiles(batch, policy)
        after = verdicts(batch, policy, requests)
        for answer in ("allow", "optional"):
            assert all(old == answer for old, new in zip(before, after) if new == answer), (SEED, policy)
        changed += before != after
    assert changed or PAIRS < 20000


def test_order_means_nothing(batch):
    for source, policy, requests in runs(0.25):
        if not compiles(batch, policy):
            continue
        before = verdicts(batch, policy, requests)
        rules = [rule for file in policy["files"] for rule in file]
        source.shuffle(rules)
        cut = source.randint(0, len(rules))
        policy["files"] = [rules[:cut], rules[cut:]]
        assert compiles(batch, policy)
        assert verdicts(batch, policy, requests) == before, (SEED, policy)
        done, findings = batch.compile(model.render(policy)[::-1])
        assert done, findings
        assert verdicts(batch, policy, requests) == before, (SEED, policy)


def test_removing_an_allow_never_widens(batch):
    changed = 0
    for source, policy, requests in runs(0.25):
        allows = [rule for file in policy["files"] for rule in file if rule["effect"] == "allow"]
        if not allows or not compiles(batch, policy):
            continue
        narrower = copy.deepcopy(policy)
        gone = source.choice(allows)
        for file in narrower["files"]:
            file[:] = [rule for rule in file if rule["name"] != gone["name"]]
        requests = with_known_users(narrower, requests)
        before = verdicts(batch, policy, requests)
        assert compiles(batch, narrower)
        after = verdicts(batch, narrower, requests)
        assert all(old == "allow" for old, new in zip(before, after) if new == "allow"), (SEED, policy, gone)
        changed += before != after
    assert changed or PAIRS < 20000


def test_an_unknown_command_is_denied(batch):
    for _, policy, _ in runs(0.1):
        if compiles(batch, policy):
            asked = [{"channel": channel, "command": "guest-unknown"} for channel in policy["channels"]]
            assert set(verdicts(batch, policy, asked)) == {"not-granted"}


def test_compile_dump_compile(batch):
    """The same slice but for the digest, which is of the text; and the same text again."""
    for _, policy, _ in runs(0.5):
        if not compiles(batch, policy):
            continue
        dumps = {channel: (batch.dump(channel), batch.slice(channel)) for channel in policy["channels"]}
        for channel, (text, bytes_before) in dumps.items():
            done, findings = batch.compile([("dump", False, text)])
            assert done, (SEED, findings, text)
            assert batch.slice(channel) == bytes_before, (SEED, policy, text)
            assert batch.dump(channel) == text, (SEED, policy)


def test_the_same_input_gives_the_same_bytes(batch):
    for _, policy, _ in runs(0.1):
        if compiles(batch, policy):
            before = [batch.slice(channel) for channel in policy["channels"]]
            assert compiles(batch, policy)
            assert [batch.slice(channel) for channel in policy["channels"]] == before
