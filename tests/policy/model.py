"""A second, naive evaluator, and random policies for it.

A policy here is a tree of dicts, written down from the rules of the language and without a look at the C code. render()
makes policy text of it. Nothing is compiled, indexed or narrowed: each request goes through all rules.
"""

import json
import re

import model_exec
from batch import ROOT

SCHEMA = json.loads((ROOT / "protocol" / "schema.json").read_text())
COMMANDS = list(SCHEMA["commands"])
CLASSES = {name: set(entry["classes"]) for name, entry in SCHEMA["commands"].items()}
ALL_CLASSES = list(SCHEMA["classes"])
FILE_CLASSES = {"@file-read", "@file-write"}
OPEN = "guest-file-open"
EXEC = "guest-exec"
VERBS = {"read": 1, "write": 2, "create": 4, "truncate": 8, "append": 16}
ALL_VERBS = 31
FOPEN = [1, 2 | 4 | 8, 4 | 16, 1 | 2, 1 | 2 | 4 | 8, 1 | 4 | 16]
AGREE = {"user": None, "max-size": "0", "create-mode": "0600", "types": "regular", "symlinks": "refuse"}
MATTERS = {"max-size": VERBS["write"] | VERBS["append"], "create-mode": VERBS["create"]}
ACCOUNTS = {"root", "www"}
FREEZING = ["guest-fsfreeze-freeze", "guest-fsfreeze-freeze-list"]
MOUNTING = FREEZING + ["guest-fstrim"]
LISTS = {"interfaces": ["guest-network-get-interfaces", "guest-network-get-route"], "users": ["guest-get-users"]}


# ---- the naive evaluator

def class_verbs(targets):
    verbs = ALL_VERBS if OPEN in targets else 0
    return verbs | (1 if "@file-read" in targets else 0) | (30 if "@file-write" in targets else 0)


def rule_verbs(rule):
    return sum(VERBS[verb] for verb in rule["verbs"]) if rule["verbs"] else class_verbs(rule["targets"])


def has_block(rule):
    return bool(rule["paths"] or rule["verbs"])


def names(rule, command):
    """Does the rule speak of the command, conditions aside?"""
    targets = set(rule["targets"])
    if rule["effect"] == "deny" and has_block(rule):
        return command == OPEN
    if rule["effect"] == "deny" and rule["exec"]:
        return command == EXEC
    if rule["effect"] == "allow" and EXEC in targets and command == "guest-exec-status":
        return True
    if rule["effect"] == "deny" and rule["mounts"] and command not in MOUNTING:
        return False
    if command in targets:
        return True
    shared = command != OPEN and CLASSES[command] >= FILE_CLASSES
    if rule["effect"] == "deny" and shared:
        return targets >= FILE_CLASSES
    return bool(CLASSES[command] & targets)


def some_name_matches(rule, name):
    return any(re.fullmatch("".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern), name, re.S)
               for pattern in rule["names"])


def glob_regex(pattern):
    return "".join("[^/]*" if c == "*" else "[^/]" if c == "?" else re.escape(c) for c in pattern)


def path_matches(kind, pattern, path):
    if kind == "is":
        return path == pattern
    if kind == "beneath":
        return pattern == "/" or path == pattern or path.startswith(pattern + "/")
    return path != "/" and re.fullmatch(glob_regex(pattern), path, re.S) is not None or path == pattern


def is_clean(path):
    return path == "/" or (path.startswith("/") and all(part not in ("", ".", "..") for part in path[1:].split("/")))


def mount_matches(rule, use, mount):
    return any(path_matches(kind, path, mount) for of, kind, path in rule["mounts"] if of == use)


def covers(rule, mount):
    """An allow, a mount point."""
    if not is_clean(mount):
        return all(use == "required" for use, *_ in rule["mounts"])
    limited = any(use == "mount" for use, *_ in rule["mounts"])
    return (not limited or mount_matches(rule, "mount", mount)) and not mount_matches(rule, "exclude", mount)


def allow_matches(policy, rule, request, by_path=False):
    if request["command"] in MOUNTING:
        return "mount" not in request or covers(rule, request["mount"])
    if request["command"] == EXEC:
        return model_exec.exists(rule["exec"], ACCOUNTS) and \
            ("exec" not in request or model_exec.allow_matches(rule["exec"], request["exec"], by_path))
    if request["command"] != OPEN:
        return not rule["names"] or "listed" not in request or some_name_matches(rule, request["listed"])
    verbs = request["verbs"]
    if not verbs or verbs & ~(rule_verbs(rule) & ceiling_verbs(policy, request["channel"])):
        return False
    if rule["user"] and rule["user"] not in ACCOUNTS:
        return False
    if rule["paths"] and not (is_clean(request["path"]) and
                              any(path_matches(*path, request["path"]) for path in rule["paths"])):
        return False
    if not request["found"]:
        return True
    return rule["user"] == request["user"] and (request["regular"] or rule["types"] == "any")


def deny_matches(rule, request):
    if request["command"] in MOUNTING and rule["mounts"]:
        return "mount" in request and (not is_clean(request["mount"]) or mount_matches(rule, "mount", request["mount"]))
    if request["command"] == EXEC and rule["exec"]:
        return model_exec.deny_matches(rule["exec"], request.get("exec"))
    if request["command"] != OPEN:
        return not rule["names"] or ("listed" in request and some_name_matches(rule, request["listed"]))
    if request["verbs"] and not request["verbs"] & rule_verbs(rule):
        return False
    if not rule["paths"] or not is_clean(request["path"]):
        return True
    return any(path_matches(*path, request["path"]) for path in rule["paths"])


def ceiling_verbs(policy, channel):
    only = policy["channels"][channel]
    return ALL_VERBS if only is None else class_verbs(only)


def under_ceiling(policy, channel, command):
    only = policy["channels"][channel]
    if COMMANDS.index(command) >= policy["commands"]:
        return False
    return only is None or command in only or bool(CLASSES[command] & set(only))


def holds_on(rule, channel):
    return not rule["on"] or channel in rule["on"]


def decide(policy, request):
    """(verdict, names of the rules that may be given as the reason)."""
    command, channel = request["command"], request["channel"]
    if command not in CLASSES or not under_ceiling(policy, channel, command):
        return "not-granted", {"-"}
    rules = [rule for file in policy["files"] for rule in file if holds_on(rule, channel) and names(rule, command)]
    allows = [rule for rule in rules if rule["effect"] == "allow"]
    if command == OPEN:
        allows = [rule for rule in allows if rule_verbs(rule) & ceiling_verbs(policy, channel)]
    if not allows:
        return "not-granted", {"-"}
    allows = [rule for rule in allows if allow_matches(policy, rule, request)]
    if not allows:
        return "no-rule", {"-"}
    denies = [rule for rule in rules if rule["effect"] == "deny" and deny_matches(rule, request)]
    left = {rule["name"] for rule in allows if all(rule["name"] in deny["except"] for deny in denies)}
    if "exec" in request:  # the name that the client says goes before the one that it leads to
        left = {rule["name"] for rule in allows if rule["name"] in left and allow_matches(policy, rule, request, True)} or left
    if left and request.get("ask") == "required":
        required = command in FREEZING and is_clean(request["mount"]) and \
            any(mount_matches(rule, "required", request["mount"]) for rule in allows)
        return "required" if required else "optional", {"-"}
    return ("allow", left) if left else ("denied", {rule["name"] for rule in denies})


def disagreement(policy, request):
    """Two allow rules that both match the opening of a path, whoever does it, and settle it differently."""
    asked = {**request, "found": False}
    matching = [rule for file in policy["files"] for rule in file
                if rule["effect"] == "allow" and holds_on(rule, request["channel"]) and names(rule, OPEN) and
                allow_matches(policy, {**rule, "user": None}, asked)]
    for a in matching:
        for b in matching:
            for setting in AGREE:
                if request["verbs"] & MATTERS.get(setting, ALL_VERBS) and a[setting] != b[setting]:
                    return a["name"], b["name"], setting
    return None


def exec_disagreement(policy, request):
    """The same of an execution: rules that match under the name that the client says, else under the other."""
    matching = []
    for by_path in (True, False):
        matching = matching or [rule for file in policy["files"] for rule in file
                                if rule["effect"] == "allow" and holds_on(rule, request["channel"]) and names(rule, EXEC) and
                                model_exec.allow_matches(rule["exec"], request["exec"], by_path)]
    for a in matching:
        for b in matching:
            if model_exec.settled(a["exec"]) != model_exec.settled(b["exec"]):
                return a["name"], b["name"]
    return None


# ---- text

def render_rule(rule):
    text = f"rule {rule['name']}: {rule['effect']} {', '.join(rule['targets'])}"
    if rule["on"]:
        text += f" on {', '.join(rule['on'])}"
    if rule["except"]:
        text += f" except {', '.join(rule['except'])}"
    lines = [f"    path {kind} \"{path}\"" for kind, path in rule["paths"]]
    lines += [f"    {use} {kind} \"{path}\"" for use, kind, path in rule["mounts"]]
    if rule["names"]:
        lines.append(f"    {rule['lists']} " + " ".join(f'"{name}"' for name in rule["names"]))
    if rule["verbs"]:
        lines.append(f"    verbs {' '.join(rule['verbs'])}")
    if rule["exec"]:
        lines += model_exec.render(rule["exec"], rule["effect"] == "deny")
    lines += [f"    {setting} {rule[setting]}" for setting, initial in AGREE.items() if rule[setting] != initial]
    return text + (" {\n" + "\n".join(lines) + "\n}" if lines else "") + "\n"


WAYS = {"one": " virtio:port.one", "two": " vsock-listen:4294967295:2", "three": " isa-serial:/dev/ttyS3",
        "four": " unix-listen:/run/four", "local": "", "main": ""}


def render(policy):
    """[(name, is a drop-in, text)]"""
    head = f"policy 1\ncommands {policy['commands']}\ndrop-ins may allow {', '.join(ALL_CLASSES)}\n"
    if list(policy["channels"]) != ["main"]:
        for name, only in policy["channels"].items():
            head += f"channel {name}{WAYS[name]}" + (f" only {', '.join(only)}" if only else "") + "\n"
    texts = ["".join(render_rule(rule) for rule in file) for file in policy["files"]]
    return [(f"file{i}", i > 0, (head if i == 0 else "policy 1\n") + text) for i, text in enumerate(texts)]


# ---- chance

PARTS = ["a", "b", "ab", "b.c"]
GLOBS = PARTS + ["*", "a*", "?", "*b", "*.?"]


def random_path(random, parts):
    return "/" + "/".join(random.choice(parts) for _ in range(random.randint(0, 3)))


def random_condition(random):
    kind = random.choice(["is", "beneath", "beneath", "glob"])
    return kind, random_path(random, GLOBS if kind == "glob" else PARTS)


def random_targets(random, some_open):
    if some_open:
        return random.sample(sorted(FILE_CLASSES), random.randint(1, 2)) + random.sample([OPEN], random.randint(0, 1))
    return random.sample(ALL_CLASSES, random.randint(0, 2)) + random.sample(COMMANDS, random.randint(1, 3))


NAMES = ["eth0", "eth1", "veth1", "e", "eth0:1", "docker0"]


def random_pattern(random):
    pattern = random.choice(NAMES)
    return random.choice([pattern, pattern, "*", pattern[:2] + "*", "*" + pattern[-2:], pattern[:-1] + "?", "e*0*", "?"])


def random_listing(random):
    """(setting, targets) of a rule that may have names."""
    lists = random.choice(sorted(LISTS))
    targets = random.sample(LISTS[lists], random.randint(1, len(LISTS[lists])))
    return lists, ["@net"] if lists == "interfaces" and random.random() < 0.5 else targets


def random_mounts(random, effect):
    """(mounts, targets) of a rule that may have mounts."""
    targets = random.choice([["@freeze"], ["@trim"], ["@freeze", "@trim"], [random.choice(MOUNTING), "guest-fsfreeze-thaw"],
                             [random.choice(MOUNTING)], ["@freeze", "guest-fstrim"]])
    uses = ["mount", "mount", "exclude", "required"] if effect == "allow" else ["mount"]
    if not set(targets) & {"@freeze", *FREEZING}:
        uses = [use for use in uses if use != "required"]
    return [(random.choice(uses), *random_condition(random)) for _ in range(random.randint(0, 4))], targets


def random_settings(random):
    return {"user": random.choice(["root", "www", "www", "ghost"]), "max-size": random.choice(["0", "0", "4096"]),
            "create-mode": random.choice(["0600", "0640"]), "types": random.choice(["regular", "any"]),
            "symlinks": random.choice(["refuse", "trusted", "follow"]), "exec": model_exec.random_settings(random)}


def random_exec_rule(random, policy, rule, settings):
    rule["targets"] = random.choice([[EXEC], ["@exec"], [EXEC, "guest-exec-status"]])
    if len(policy["channels"]) > 1:
        rule["on"] = random.sample(sorted(policy["channels"]), random.randint(1, len(policy["channels"])))
    if rule["effect"] == "deny" and random.random() < 0.4:
        rule["except"] = [f"r{random.randint(0, 12)}" for _ in range(random.randint(1, 3))]
    rule["exec"] = model_exec.random_exec(random, settings.get("exec") or model_exec.random_settings(random))
    return rule


def random_rule(random, policy, number, settings):
    """A rule that is valid by itself."""
    rule = {"name": f"r{number}", "effect": random.choice(["allow", "allow", "deny"]), "except": [], "paths": [], "verbs": [],
            "on": [], "lists": None, "names": [], "mounts": [], "exec": None, **AGREE}
    if random.random() < 0.3:
        return random_exec_rule(random, policy, rule, settings)
    files = random.random() < 0.6
    rule["targets"] = random_targets(random, files)
    if len(policy["channels"]) > 1 and (rule["effect"] == "allow" or random.random() < 0.5):
        rule["on"] = random.sample(sorted(policy["channels"]), random.randint(1, len(policy["channels"])))
    if rule["effect"] == "deny" and random.random() < 0.4:
        rule["except"] = [f"r{random.randint(0, 12)}" for _ in range(random.randint(1, 3))]
    if files and random.random() < 0.8:
        rule["paths"] = [random_condition(random) for _ in range(random.randint(1, 3))]
    if files and random.random() < 0.4:
        rule["verbs"] = random.sample(sorted(VERBS), random.randint(1, 5))
    if not files and random.random() < 0.5:
        rule["lists"], rule["targets"] = random_listing(random)
        rule["names"] = [random_pattern(random) for _ in range(random.randint(0, 3))]
    elif not files and random.random() < 0.6:
        rule["mounts"], rule["targets"] = random_mounts(random, rule["effect"])
    if rule["effect"] == "deny":
        return rule
    rule["targets"] = [target for target in rule["targets"] if target not in ("@exec", "guest-exec")] or ["guest-ping"]
    if not files and (OPEN in rule["targets"] or "@file-write" in rule["targets"]):
        rule["targets"] = ["@file-read", "@info"]
    if OPEN in rule["targets"] and not rule["verbs"]:
        rule["verbs"] = ["read"]
    if files:
        rule.update({name: value for name, value in settings.items() if name != "exec" and rule_verbs(rule) & MATTERS.get(name, ALL_VERBS)})
    return rule


def random_policy(random):
    names = random.choice([["main"], ["one"], ["one", "two"], ["local", "two", "three"], ["main", "four", "local"]])
    policy = {"commands": random.choice([len(COMMANDS)] * 3 + [random.randint(0, len(COMMANDS))]), "channels": {}}
    for name in names:
        only = name != "main" and random.random() < 0.3
        policy["channels"][name] = random.sample(ALL_CLASSES, random.randint(1, 6)) + ["guest-ping"] if only else None
    settings, same = random_settings(random), random.random() < 0.8
    rules = [random_rule(random, policy, n, settings if same else random_settings(random))
             for n in range(random.randint(0, 12))]
    denies = {rule["name"] for rule in rules if rule["effect"] == "deny"}
    for rule in rules:
        rule["except"] = [name for name in rule["except"] if name not in denies]
    cut = random.randint(0, len(rules))
    policy["files"] = random.choice([[rules], [rules[:cut], rules[cut:]]])
    return policy


def asked_path(random, conditions):
    """Any path, one that a condition speaks of, or one that is not clean."""
    path = random_path(random, PARTS + ["c"])
    if conditions and random.random() < 0.6:
        kind, path = random.choice(conditions)
        path = path.replace("*", random.choice(["", "a", "b"])).replace("?", "b") or "/"
        if kind == "beneath" and random.random() < 0.5:
            path = path.rstrip("/") + random_path(random, PARTS)
    if random.random() < 0.1:
        path = random.choice([path + "/", path + "/..", "." + path, path[1:], "/." + path, path + "//a"])
    return path


def random_mount(random, policy, request):
    """A command that acts on mounts, or a neighbour of it; for a mount, for whether it is required, or for the command."""
    request["command"] = random.choice(MOUNTING + ["guest-fsfreeze-thaw"])
    if request["command"] in MOUNTING and random.random() < 0.9:
        request["mount"] = asked_path(random, [(kind, path) for file in policy["files"] for rule in file
                                               for _, kind, path in rule["mounts"]])
        if random.random() < 0.4:
            request["ask"] = "required"
    return request


def random_request(random, policy):
    request = {"channel": random.choice(sorted(policy["channels"])), "command": OPEN}
    if random.random() < 0.3:
        request["command"] = random.choice(sum(LISTS.values(), []))
        if random.random() < 0.8:
            request["listed"] = random.choice(NAMES + ["", "lo", "eth0:10", "\n"])
        return request
    if random.random() < 0.3:
        return random_mount(random, policy, request)
    execs = [rule["exec"] for file in policy["files"] for rule in file if rule["exec"] and holds_on(rule, request["channel"])]
    if random.random() < (0.5 if execs else 0.1):
        return {**request, "command": EXEC, "exec": model_exec.random_asked(random, execs)}
    if random.random() < 0.3:
        request["command"] = random.choice(COMMANDS + ["guest-unknown"])
        if request["command"] != OPEN:
            return request
    path = asked_path(random, [condition for file in policy["files"] for rule in file for condition in rule["paths"]])
    request.update(path=path, verbs=random.choice(FOPEN + [random.randint(0, ALL_VERBS)]), found=random.random() < 0.5,
                   regular=random.random() < 0.7, user=random.choice([None, "www", "root"]))
    return request
