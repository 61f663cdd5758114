"""Loads a schema and checks it. What leaves this module is complete and consistent; the emitters check nothing.

Every complaint names the file and the path to the element, and says what to write instead.
"""

import hashlib
import json
import os
import re

INT_MIN, INT_MAX, UINT_MAX = -2**63, 2**63 - 1, 2**64 - 1
LEN_MAX, ITEMS_MAX, DEADLINE_MAX = 64 * 1024 * 1024, 65536, 3600 * 1000
KINDS = ("bool", "int", "uint", "number", "str", "bytes")
FLAGS = ("frozen-ok", "no-reply", "mutates", "sentinel")
AUDITS = ("each", "open", "count")
ERROR_CLASSES = ("GenericError", "CommandNotFound")
BOUNDS = {"int": {"min": (INT_MIN, INT_MAX), "max": (INT_MIN, INT_MAX)}, "uint": {"max": (0, UINT_MAX)},
          "str": {"max-len": (0, LEN_MAX)}, "bytes": {"max-len": (0, LEN_MAX)}}
C_KEYWORDS = set("""auto break case char const continue default do double else enum extern float for goto if inline
int long register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
asm typeof linux unix bool true false""".split())
KEBAB, MEMBER, CAMEL = r"[a-z][a-z0-9]*(-[a-z0-9]+)*", r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", r"[A-Z][A-Za-z0-9]*"


class SchemaError(Exception):
    """A fault of the schema; its text is for the person who wrote it."""


class Node:
    """A checked element: its path in the file, and attributes set by the function that checked it."""

    def __init__(self, path, **attributes):
        self.path = path
        self.__dict__.update(attributes)


def c_name(name):
    """GuestOSInfo -> guest_os_info, buf-b64 -> buf_b64."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return name.lower().replace("-", "_").lstrip("@")


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


class Loader:
    """One pass over the file, in an order in which every name is known before it is used."""

    def __init__(self, file_name):
        self.file = os.path.basename(file_name)
        self.structs, self.enums, self.used, self.lifted = {}, {}, set(), []

    def fail(self, path, text):
        raise SchemaError(f"{self.file}: {path}: {text}" if path else f"{self.file}: {text}")

    def pairs(self, pairs):
        seen = {}
        for key, value in pairs:
            if key in seen:
                self.fail("", f'"{key}" stands twice in one object')
            seen[key] = value
        return seen

    def keys(self, path, element, required, optional=()):
        """`element` is an object with all `required` keys and no others but the `optional` ones."""
        if not isinstance(element, dict):
            self.fail(path, "must be an object")
        for key in element:
            if key not in required and key not in optional:
                self.fail(path, f'unknown key "{key}"; known here: {", ".join(sorted({*required, *optional}))}')
        for key in required:
            if key not in element:
                self.fail(path, f'"{key}" is missing')
        if "doc" in required and (not isinstance(element["doc"], str) or not element["doc"].strip()):
            self.fail(path, '"doc" must be a sentence')
        if "doc" in required and ("\n" in element["doc"] or re.search(r"\*/|\|", element["doc"])):
            self.fail(path, '"doc" must be one line without "*/" and "|"')

    def name(self, path, name, pattern, what):
        if not re.fullmatch(pattern, name):
            self.fail(path, f'"{name}" is not a name of {what}: it must match {pattern}')

    def table(self, raw, key, pattern, what):
        """The elements of a named table: (path, name, element)."""
        if not isinstance(raw[key], dict):
            self.fail(key, "must be an object")
        for name, element in raw[key].items():
            self.name(key, name, pattern, what)
            yield f"{key}.{name}", name, element

    def known(self, path, what, names, table):
        if not isinstance(names, list) or len(set(map(str, names))) != len(names):
            self.fail(path, f'"{what}" must be a list without repetition')
        for name in names:
            if name not in table:
                self.fail(path, f'"{what}": unknown "{name}"; known: {", ".join(table)}')
        return names

    def number(self, path, element, key, low, high):
        if not is_int(element[key]) or not low <= element[key] <= high:
            self.fail(path, f'"{key}" must be an integer from {low} to {high}')
        return element[key]

    # Tables that nothing refers back from

    def worker(self, path, name, element):
        self.keys(path, element, ("doc", "built"))
        if not isinstance(element["built"], bool):
            self.fail(path, '"built" must be true or false')
        return Node(path, name=name, doc=element["doc"], built=element["built"])

    def code(self, path, name, element, numbers):
        self.keys(path, element, ("number", "class", "doc"))
        number = self.number(path, element, "number", 1000, 9999)
        if number in numbers:
            self.fail(path, f"number {number} is taken by {numbers[number]}")
        numbers[number] = name
        if element["class"] not in ERROR_CLASSES:
            self.fail(path, f'"class" must be one of {", ".join(ERROR_CLASSES)}')
        return Node(path, name=name, c="BH_E_" + c_name(name).upper(), number=number, klass=element["class"],
                    doc=element["doc"])

    def enum(self, path, name, element):
        self.keys(path, element, ("doc", "values"))
        if not isinstance(element["values"], dict) or not 1 <= len(element["values"]) <= 255:
            self.fail(path, '"values" must be an object of 1 to 255 values')
        taken, values = set(map(json.dumps, element["values"])), []
        for value, about in element["values"].items():
            here = f"{path}.values.{value}"
            self.name(here, value, r"[a-z][a-z0-9+-]*", "an enum value")
            self.keys(here, about, ("doc",), ("aliases",))
            for alias in about.get("aliases", []):
                if not isinstance(alias, (str, bool, int)) or json.dumps(alias) in taken:
                    self.fail(here, f"alias {json.dumps(alias)} is not a string, integer or boolean of its own")
                taken.add(json.dumps(alias))
            word = c_name(value.replace("+", "-plus")).upper()
            if word in [v.c for v in values]:
                self.fail(here, f'its C name "{word}" is taken')
            values.append(Node(here, name=value, c=word, doc=about["doc"], aliases=about.get("aliases", [])))
        return Node(path, name=name, c=c_name(name), doc=element["doc"], values=values)

    # Members

    def resolve(self, path, element):
        """Follows `type`: (element with the bounds of a scalar merged in, kind, whether a list, target)."""
        kind, listed = element["type"], isinstance(element["type"], list)
        kind = kind[0] if listed and len(kind) == 1 else kind
        if not isinstance(kind, str):
            self.fail(path, '"type" is the name of a type; a list is written ["TYPE"]')
        if kind in KINDS:
            return element, kind, listed, None
        if kind in self.raw["scalars"]:
            self.used.add(("scalars", kind))
            for key in ("min", "max", "max-len"):
                if key in element:
                    self.fail(path, f'"{key}" is already said by scalars.{kind}')
            scalar = self.raw["scalars"][kind]
            return {**scalar, **element, "type": scalar["type"]}, scalar["type"], listed, None
        for table, loaded in (("enums", self.enums), ("structs", None)):
            if kind in self.raw[table]:
                self.used.add((table, kind))
                return element, table[:-1], listed, loaded[kind] if loaded else self.struct(kind, path)
        return self.fail(path, f'unknown type "{kind}"')

    def bounds(self, path, element, kind):
        limits = BOUNDS.get(kind, {})
        for key in ("min", "max", "max-len"):
            if key in limits and key not in element:
                what = "string" if key == "max-len" else "integer"
                self.fail(path, f'"{key}" is missing: every {what} needs a bound')
            if key in element and key not in limits:
                self.fail(path, f'"{key}" does not belong to type {kind}')
            if key in limits:
                self.number(path, element, key, *limits[key])
        if kind == "int" and element["min"] > element["max"]:
            self.fail(path, '"min" is above "max"')

    def default(self, path, node, value):
        """A default is a value that the argument itself would accept."""
        fits = {"int": lambda: is_int(value) and node.min <= value <= node.max,
                "uint": lambda: is_int(value) and 0 <= value <= node.max,
                "bool": lambda: isinstance(value, bool),
                "str": lambda: isinstance(value, str) and len(value.encode()) <= node.max_len,
                "enum": lambda: value in [v.name for v in node.of.values]}
        if not node.optional:
            self.fail(path, 'only an optional argument ("*name") has a "default"')
        if node.list or node.kind not in fits or not fits[node.kind]():
            self.fail(path, f'"default": {json.dumps(value)} is not a value that it accepts')
        return value

    def member(self, path, name, element, is_arg):
        required, optional = ("type", "doc"), ("min", "max", "max-len", "items")
        self.keys(path, element, required, optional + (("default", "bulk", "secret") if is_arg else ("bulk",)))
        element, kind, listed, target = self.resolve(path, element)
        self.bounds(path, element, kind)
        if listed and "items" not in element:
            self.fail(path, '"items" is missing: every list needs a bound')
        if not listed and "items" in element:
            self.fail(path, '"items" does not belong to what is not a list')
        node = Node(path, name=name.lstrip("*"), c=c_name(name.lstrip("*")), doc=element["doc"], kind=kind,
                    of=target, optional=name.startswith("*"), list=listed, min=element.get("min", 0),
                    max=element.get("max", 0), max_len=element.get("max-len", 0), default=None,
                    items=self.number(path, element, "items", 1, ITEMS_MAX) if listed else 0,
                    bulk=element.get("bulk", False), secret=element.get("secret", False))
        if (node.bulk or node.secret) and (kind not in ("bytes", "str") or listed or (node.bulk and kind != "bytes")):
            self.fail(path, 'only bytes can be "bulk", only one string or bytes can be "secret"')
        if kind == "struct" and any(m.bulk for m in target.members):
            self.fail(path, f"{target.name} has a bulk member, so it can only be what a command returns")
        if "default" in element:
            node.default = self.default(path, node, element["default"])
        return node

    def members(self, path, element, is_arg):
        if not isinstance(element, dict) or not element:
            self.fail(path, "must be an object with at least one member; leave it out if there is none")
        result, taken = [], {}
        for name, about in element.items():
            here = f"{path}.{name.lstrip('*')}"
            self.name(here, name, r"\*?" + MEMBER, "a member")
            if c_name(name.lstrip("*")) in C_KEYWORDS:
                self.fail(here, "is a word of C; the struct could not have such a member")
            node = self.member(here, name, about, is_arg)
            for word in [node.c] + ["has_" + node.c] * node.optional + ["n_" + node.c] * node.list:
                if word in taken:
                    self.fail(here, f'its C name "{word}" is taken by {taken[word]}')
                taken[word] = node.name
            result.append(node)
        if sum(m.bulk for m in result) > (1 if is_arg else 2):
            self.fail(path, "at most one argument, and two members of what is returned, may be bulk")
        return result

    def struct(self, name, user=None):
        """Loads on first use, so that self.structs is in the order in which C needs them."""
        if name in self.structs:
            if self.structs[name] is None:
                self.fail(user, f'"{name}" contains itself')
            return self.structs[name]
        path, element = f"structs.{name}", self.raw["structs"][name]
        self.structs[name] = None
        self.keys(path, element, ("doc", "members"))
        members = self.members(path + ".members", element["members"], False)
        del self.structs[name]
        self.structs[name] = Node(path, name=name, c="bh_" + c_name(name), doc=element["doc"], members=members)
        return self.structs[name]

    # Commands

    def own_struct(self, path, name, suffix, members):
        return Node(path, name=f"{name}-{suffix}", c=f"bh_{c_name(name)}_{suffix}", members=members,
                    doc=f"{name}: {'arguments' if suffix == 'args' else 'what it returns'}.")

    def returns(self, path, name, element):
        """(struct, bare) of "returns": a struct's name, {"members": ...} or one bare type."""
        if element is None:
            return None, False
        if isinstance(element, str):
            if element not in self.raw["structs"]:
                self.fail(path, f'unknown struct "{element}"; a bare type is written {{"type": ..., "doc": ...}}')
            self.used.add(("structs", element))
            return self.struct(element), False
        if isinstance(element, dict) and "members" in element:
            self.keys(path, element, ("members",))
            members = self.members(path + ".members", element["members"], False)
            return self.own_struct(path, name, "ret", members), False
        return self.own_struct(path, name, "ret", [self.member(path, "value", element, False)]), True

    def lift(self, worker, args):
        """Bulk and secret arguments are found by name alone, by a lexer that does not know the command yet."""
        for node in args.members if args else ():
            if not (node.bulk or node.secret):
                continue
            for other in self.lifted:
                if other.name == node.name:
                    self.fail(node.path, f"a bulk or secret argument of this name exists already: {other.path}")
            self.lifted.append(Node(node.path, name=node.name, worker=worker, secret=node.secret))
            if len(self.lifted) > 64:
                self.fail(node.path, "more than 64 bulk or secret arguments")

    def command(self, path, name, element):
        required = ("doc", "worker", "since", "classes", "deadline-ms", "reply-max", "audit")
        self.keys(path, element, required, ("args", "returns", "errors", "flags", "planned"))
        if element["worker"] not in list(self.workers):
            self.fail(path, f'"worker": unknown "{element["worker"]}"; known: {", ".join(self.workers)}')
        if not isinstance(element["since"], str) or not re.fullmatch(r"\d+\.\d+", element["since"]):
            self.fail(path, '"since" must be a version, "MAJOR.MINOR"')
        if element["audit"] not in AUDITS:
            self.fail(path, f'"audit" must be one of {", ".join(AUDITS)}')
        if element.get("planned", True) is not True:
            self.fail(path, '"planned" is true or left out')
        if not self.known(path, "classes", element["classes"], self.classes):
            self.fail(path, '"classes": at least one is needed')
        args = None
        if "args" in element:
            args = self.own_struct(path, name, "args", self.members(path + ".args", element["args"], True))
        ret, bare = self.returns(path + ".returns", name, element.get("returns"))
        node = Node(path, name=name, c=c_name(name), doc=element["doc"], worker=self.workers[element["worker"]],
                    since=element["since"], classes=element["classes"], args=args, ret=ret, bare=bare,
                    errors=self.known(path, "errors", element.get("errors", []), self.codes),
                    flags=self.known(path, "flags", element.get("flags", []), FLAGS), audit=element["audit"],
                    planned="planned" in element,
                    deadline=self.number(path, element, "deadline-ms", 1, DEADLINE_MAX),
                    reply_max=self.number(path, element, "reply-max", 1, LEN_MAX))
        node.served = node.worker.built and not node.planned
        if ret and "no-reply" in node.flags:
            self.fail(path, '"no-reply" contradicts "returns"')
        self.lift(node.worker, args)
        return node

    def load(self, data):
        try:
            self.raw = raw = json.loads(data.decode("utf-8"), object_pairs_hook=self.pairs)
        except ValueError as error:
            self.fail("", f"not JSON: {error}")
        tables = ("workers", "classes", "codes", "scalars", "enums", "structs", "commands")
        self.keys("", raw, ("level",) + tables)
        if not isinstance(raw["level"], str) or not re.fullmatch(r"\d+\.\d+\.\d+", raw["level"]):
            self.fail("level", 'must be a version, "MAJOR.MINOR.MICRO"')
        self.workers = {n: self.worker(p, n, e) for p, n, e in self.table(raw, "workers", KEBAB, "a worker")}
        self.classes = {n: e for _, n, e in self.table(raw, "classes", "@" + KEBAB, "a class")}
        for name, text in self.classes.items():
            self.keys(f"classes.{name}", {"doc": text}, ("doc",))
        numbers = {}
        self.codes = {n: self.code(p, n, e, numbers) for p, n, e in self.table(raw, "codes", KEBAB, "a code")}
        for path, name, element in self.table(raw, "scalars", KEBAB, "a scalar"):
            self.keys(path, element, ("type", "doc"), ("min", "max", "max-len"))
            if element["type"] not in BOUNDS or name in KINDS:
                self.fail(path, f'a scalar gives bounds to one of {", ".join(BOUNDS)}')
            self.bounds(path, element, element["type"])
        for path, name, element in self.table(raw, "enums", CAMEL, "an enum"):
            self.enums[name] = self.enum(path, name, element)
        for _, name, _ in list(self.table(raw, "structs", CAMEL, "a struct")):
            if name in self.enums:
                self.fail(f"structs.{name}", "is the name of an enum too")
        for name in raw["structs"]:
            self.struct(name)
        self.commands = [self.command(p, n, e) for p, n, e in self.table(raw, "commands", KEBAB, "a command")]
        for table, name in ((t, n) for t in ("scalars", "enums", "structs") for n in raw[t]):
            if (table, name) not in self.used:
                self.fail(f"{table}.{name}", "is used nowhere")
        return Node("", level=raw["level"], hash=hashlib.sha256(data).hexdigest()[:8], workers=self.workers,
                    classes=self.classes, codes=list(self.codes.values()), enums=list(self.enums.values()),
                    structs=list(self.structs.values()), commands=self.commands, lifted=self.lifted)


def load(file_name):
    with open(file_name, "rb") as file:
        return Loader(file_name).load(file.read())
