"""policy diff against the naive evaluator: where it says that a change widens nothing, no request is allowed anew.

Pairs are a random policy and what one edit makes of it. BH_RANDOM_SEED repeats a run.
"""

import copy
import os
import random
import subprocess

import model
from batch import ROOT

BUILD = os.environ.get("BULKHEAD_BUILD", ROOT / "build")
SEED = int(os.environ.get("BH_RANDOM_SEED", random.SystemRandom().randrange(1 << 32)))
PAIRS, REQUESTS = 200, 200


def other_paths(source, paths):
    """The same conditions but for one: another kind, deeper, higher, gone, or new."""
    paths, at = list(paths), source.randrange(len(paths))
    kind, path = paths[at]
    edit = source.randrange(6)
    if edit == 0:
        paths[at] = source.choice(["is", "beneath", "glob"]), path.replace("*", "a").replace("?", "b")
    elif edit == 1:
        paths[at] = kind, path.rstrip("/") + "/" + source.choice(model.PARTS)
    elif edit == 2:
        paths[at] = kind, path.rpartition("/")[0] or "/"
    elif edit == 3:
        return []
    elif edit == 4:
        paths[at] = "glob", path.rpartition("/")[0] + "/*"
    else:
        paths.append(model.random_condition(source))
    return paths


def other_mounts(source, rule):
    """The same, but one is gone or new, or says something else of other paths."""
    mounts, at = list(rule["mounts"]), source.randrange(len(rule["mounts"]))
    edit = source.randrange(4)
    if edit == 0:
        del mounts[at]
    elif edit == 1:
        mounts += model.random_mounts(source, rule["effect"])[0]
    elif edit == 2:
        mounts[at] = source.choice(["mount", "exclude", "required"]), *mounts[at][1:]
    else:
        use, kind, path = mounts[at]
        changed = other_paths(source, [(kind, path)])
        mounts[at:at + 1] = [(use, *condition) for condition in changed]
    return mounts


def other_exec(source, exec):
    """The same, but for one of the things that it says."""
    exec, other = copy.deepcopy(exec), model.model_exec.random_exec(source, model.model_exec.random_settings(source))
    edit = source.choice(["programs", "args", "rest", "env", "stdin", "search", "position", "position", "position"])
    if edit != "position" or not exec["args"]:
        edit = "args" if edit == "position" else edit
        exec[edit] = other[edit]
    else:
        position = source.choice(exec["args"])
        if source.random() < 0.5:
            position["matches"] = [("any",)] if source.random() < 0.3 else [model.model_exec.random_matcher(source)]
            position["dash"] = position["dash"] and position["matches"][0][0] in ("any", "glob")
        else:
            position["matches"].append(model.model_exec.random_matcher(source))
    if exec["programs"] == "any":
        exec["sha256"] = None
    return exec


def edited(source, policy):
    """A copy with one rule gone or added, or with other verbs, paths, mounts, exceptions, or another ceiling."""
    new = copy.deepcopy(policy)
    rules = new["files"][0]
    edit = source.choice(["drop", "add", "verbs", "paths", "paths", "paths", "mounts", "mounts", "mounts", "except", "only", "exec", "exec", "exec", "exec"])
    rows = [rule for rule in rules if edit not in ("verbs", "paths", "mounts", "except", "exec") or rule[edit]]
    if edit == "add" or not rows:
        rules.append({**model.random_rule(source, new, 99, model.random_settings(source)), "except": []})
        return new
    rule = source.choice(rows)
    if edit == "drop":
        rules.remove(rule)
    elif edit == "verbs":
        rule["verbs"] = source.sample(sorted(model.VERBS), source.randint(1, 5))
    elif edit == "paths":
        rule["paths"] = other_paths(source, rule["paths"])
    elif edit == "mounts":
        rule["mounts"] = other_mounts(source, rule)
    elif edit == "exec":
        rule["exec"] = other_exec(source, rule["exec"])
    elif edit == "except":
        rule["except"] = rule["except"][1:]
    else:
        name = source.choice(sorted(new["channels"]))
        new["channels"][name] = name != "main" and source.sample(model.ALL_CLASSES, source.randint(1, 6)) + ["guest-ping"] or None
    return new


def write(path, policy):
    """The account that the model calls www is one that every machine has."""
    [(_, _, text)] = model.render(policy)
    path.write_text(text.replace("user www", "user daemon"))
    path.chmod(0o600)
    return path


def test_what_is_not_wider_allows_nothing_anew(tmp_path):
    results, anew = {}, 0
    for n in range(PAIRS):
        source = random.Random(f"{SEED}/diff/{n}")
        old = model.random_policy(source)
        old["files"] = [[rule for file in old["files"] for rule in file]]
        new = edited(source, old)
        done = subprocess.run([f"{BUILD}/bulkheadctl", "policy", "diff", write(tmp_path / "old", old),
                               write(tmp_path / "new", new)], capture_output=True, text=True, timeout=60)
        if done.returncode == 2:
            assert "can both match one " in done.stderr or "has no meaning" in done.stderr or \
                "must say as whom" in done.stderr or "without saying for what" in done.stderr, (SEED, n, done.stderr)
            continue
        result = done.stdout.splitlines()[-1]
        results[result] = results.get(result, 0) + 1
        for policy in (old, new):
            for request in (model.random_request(source, policy) for _ in range(REQUESTS)):
                before, after = (model.decide(each, request)[0] in ("allow", "optional") for each in (old, new))
                assert result == "wider" or before or not after, (SEED, n, request, done.stdout)
                assert result != "same" or before == after, (SEED, n, request, done.stdout)
                anew += after and not before
    assert set(results) == {"same", "narrower", "wider"} and anew > 0, (SEED, results)
