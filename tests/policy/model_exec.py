"""Rules for guest-exec in the naive evaluator: what one says, as a dict, whether it matches, its text, and chance."""

import fnmatch
import re

PROGRAMS = ["/bin/a", "/bin/b", "/usr/bin/a"]
NEVER = ["LD_*", "ENV", "IFS", "PYTHON*", "PERL*", "MALLOC_*"]  # of the list; no other variable that is asked for is on it
SETTLED = ["user", "groups", "sandbox", "socket", "net", "timeout", "cwd", "argv0", "cpu", "pids", "sha256"]
GROUPS = {"adm", "4"}


def glob_matches(pattern, text):
    regex = "".join("[^/]*" if c == "*" else "[^/]" if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch(regex, text, re.S) is not None


def is_clean(path):
    return path == "/" or (path.startswith("/") and all(part not in ("", ".", "..") for part in path[1:].split("/")))


def match(matcher, dash_ok, argument):
    kind, *what = matcher
    if kind == "literal":
        return argument == what[0]
    if kind == "int":
        return re.fullmatch("0|-?[1-9][0-9]*", argument) is not None and what[0] <= int(argument) <= what[1]
    if kind == "beneath":
        return is_clean(argument) and (argument == what[0] or argument.startswith(what[0].rstrip("/") + "/"))
    if argument.startswith("-") and not dash_ok:
        return False
    return kind == "any" or glob_matches(what[0], argument)


def position_matches(position, argument):
    return any(match(matcher, position["dash"], argument) for matcher in position["matches"])


def arguments_match(exec, arguments):
    if len(arguments) < len(exec["args"]) or (len(arguments) > len(exec["args"]) and not exec["rest"]):
        return False
    positions = exec["args"] + [exec["rest"]] * (len(arguments) - len(exec["args"]))
    return all(position_matches(*pair) for pair in zip(positions, arguments))


def variable_matches(exec, variable):
    name, equals, _ = variable.partition("=")
    if not name or not equals or any(fnmatch.fnmatchcase(name, pattern) for pattern in NEVER):
        return False
    return exec["env"] == "any" or name in exec["env"]


def variables_match(exec, variables):
    if exec["env"] == "any" and exec["sandbox"] == "none":
        return True
    names = [variable.partition("=")[0] for variable in variables]
    return all(variable_matches(exec, variable) for variable in variables) and len(set(names)) == len(names)


def exists(exec, accounts):
    return (exec["user"] is None or exec["user"] in accounts) and all(group in GROUPS for group in exec["groups"] or [])


def allow_matches(exec, asked, by_path=False):
    if not exec["search"] and asked["path"] and "/" not in asked["path"]:
        return False
    names = [asked["path"]] + ([asked["resolved"]] if asked["resolved"] and not by_path else [])
    if exec["programs"] != "any" and not any(name in exec["programs"] for name in names):
        return False
    return arguments_match(exec, asked["args"]) and variables_match(exec, asked["env"]) and (exec["stdin"] or not asked["input"])


def deny_matches(exec, asked):
    """A deny that names programs; asked is None where it is asked of the command at all."""
    if exec["programs"] == "any":
        return True
    return asked is not None and (not asked["resolved"] or asked["path"] in exec["programs"] or
                                  asked["resolved"] in exec["programs"])


def settled(exec):
    """What holds for the execution, whether the rule says it or not."""
    open = exec["sandbox"] in ("plain", "none")
    initial = {"sandbox": "minimal", "net": "host" if open else "none", "timeout": "10m", "cwd": "/", "pids": "0" if open else "256"}
    return {name: exec[name] if exec[name] is not None else initial.get(name) for name in SETTLED}


# ---- text

def render_matcher(matcher):
    kind, *what = matcher
    if kind == "int":
        return f"int {what[0]}..{what[1]}"
    return {"literal": "", "any": "any"}.get(kind, kind + " ") + "".join(f'"{text}"' for text in what)


def render_position(position):
    texts = [render_matcher(matcher) for matcher in position["matches"]]
    return (texts[0] if len(texts) == 1 else "{ " + ", ".join(texts) + " }") + (" dash-ok" if position["dash"] else "")


def quoted(texts):
    return "any" if texts == "any" else " ".join(f'"{text}"' for text in texts)


def render(exec, deny):
    lines = [f"program {quoted(exec['programs'])}"]
    if deny:
        return ["    " + line for line in lines]
    lines += ["args " + render_position(position) for position in exec["args"]]
    lines += ["rest " + render_position(exec["rest"])] if exec["rest"] else []
    lines += [f"env {quoted(exec['env'])}"] if exec["env"] else []
    lines += [f"{name} yes" for name in ("stdin", "search") if exec[name]]
    lines += [f"{name} {exec[name]}" for name in ("user", "sandbox", "net", "timeout", "cpu", "pids") if exec[name] is not None]
    lines += ["groups " + (" ".join(exec["groups"]) or "none")] if exec["groups"] is not None else []
    lines += [f'{name} "{exec[name]}"' for name in ("socket", "cwd", "argv0", "sha256") if exec[name]]
    return ["    " + line for line in lines]


# ---- chance

LITERALS = ["", "a", "b", "-x", "5", "/s/a"]
GLOBS = ["a*", "*", "?", "/s/*", "*5", "a/?", "*b"]
FOLDERS = ["/s", "/s/a", "/"]
ASKED = ["", "a", "ab", "b", "-x", "-", "5", "05", "-2", "7", "-0", "/", "/s", "/s/a", "/s/../a", "/s//a", "a/b", "a/"]
VARIABLES = ["LANG=C", "LANG=", "TZ=", "LD_PRELOAD=x", "LANG", "=x", "PYTHONPATH=/", "LANGUAGE=x", ""]


def random_matcher(random):
    kind = random.choice(["literal", "literal", "int", "beneath", "glob", "any"])
    if kind == "int":
        least = random.randint(-3, 6)
        return kind, least, least + random.choice([0, 1, 4, 10000])
    if kind == "any":
        return (kind,)
    return kind, random.choice({"literal": LITERALS, "beneath": FOLDERS, "glob": GLOBS}[kind])


def random_position(random):
    matches = [random_matcher(random) for _ in range(random.choice([1, 1, 1, 2, 3]))]
    return {"matches": matches, "dash": any(kind in ("glob", "any") for kind, *_ in matches) and random.random() < 0.3}


def random_settings(random):
    """What two rules that match one execution must say alike."""
    settings = {"sandbox": random.choice([None, "minimal", "diag", "plain", "none"]), "user": random.choice([None, "root", "www", "www"])}
    if settings["sandbox"] in ("plain", "none"):
        settings["user"] = settings["user"] or "www"
    open = settings["sandbox"] in ("plain", "none")
    settings.update(timeout=random.choice([None, "0", "5m"]), cpu=random.choice([None, None, "50%", "2"]),
                    pids=random.choice([None, None, "0", "7"]), cwd=random.choice([None, None, "/s"]),
                    argv0=random.choice([None, None, "x"]), groups=random.choice([None, None, [], ["adm"], ["4"], ["none-such"]]),
                    socket=None if open else random.choice([None, None, "/run/s"]), sha256=None,
                    net=None if settings["sandbox"] == "none" else random.choice([None, None, "host", "none"]))
    return settings


def random_exec(random, settings):
    exec = {"programs": random.choice(["any"] + [random.sample(PROGRAMS, random.randint(1, 2)) for _ in range(4)]),
            "args": [random_position(random) for _ in range(random.choice([0, 1, 1, 2]))],
            "rest": random_position(random) if random.random() < 0.4 else None,
            "env": random.choice([[], [], ["LANG"], ["LANG", "TZ"], "any"]), "stdin": random.random() < 0.5,
            "search": random.random() < 0.5, **settings}
    if exec["user"] and random.random() < 0.05:
        exec["user"] = "ghost"
    if exec["programs"] != "any" and random.random() < 0.1:
        exec["sha256"] = "0a" * 32
    return exec


def near_argument(random, position):
    """What is near to something that the position says."""
    kind, *what = random.choice(position["matches"])
    if kind == "int":
        return str(random.choice([what[0], what[1], what[0] - 1, what[1] + 1]))
    if kind == "beneath":
        return what[0].rstrip("/") + random.choice(["", "/a", "/..", "x"])
    return what[0].replace("*", random.choice(["", "a", "/"])).replace("?", random.choice("b-")) if what else random.choice(ASKED)


def fitting(random, exec):
    """What the rule allows, but for its arguments, which are near to that."""
    path = random.choice(PROGRAMS if exec["programs"] == "any" else exec["programs"])
    positions = exec["args"] + ([exec["rest"]] * random.randint(0, 2) if exec["rest"] else [])
    names = ["HOME", "LANG"] if exec["env"] == "any" else exec["env"]
    return {"path": path, "resolved": random.choice([path, path, random.choice(PROGRAMS)]), "input": exec["stdin"] and random.random() < 0.5,
            "args": [near_argument(random, position) for position in positions],
            "env": [f"{name}=x" for name in names if random.random() < 0.5]}


def random_asked(random, execs):
    """Anything; or what fits a rule, but for one thing at most."""
    path = random.choice(PROGRAMS + ["a", "/bin//a", ""])
    asked = {"path": path, "resolved": random.choice([path, path, random.choice(PROGRAMS), "", "/opt/c"]), "input": random.random() < 0.5,
             "args": [random.choice(ASKED) for _ in range(random.randint(0, 3))],
             "env": random.sample(VARIABLES, random.randint(0, 2))}
    if not execs or random.random() < 0.1:
        return asked
    near = fitting(random, random.choice(execs))
    if random.random() < 0.5:
        part = random.choice(sorted(asked))
        near[part] = asked[part]
    return near
