"""Writes the reference for readers, and what fuzzers start from."""

import json
import os


def type_name(m):
    name = m.of.name if m.of else m.kind
    return f"list of {name}" if m.list else name


def bounds(m):
    parts = []
    if m.list:
        parts.append(f"at most {m.items} elements")
    if m.kind in ("str", "bytes"):
        parts.append(f"at most {m.max_len} bytes")
    if m.kind == "int" and (m.min, m.max) != (-2**63, 2**63 - 1):
        parts.append(f"{m.min} to {m.max}")
    if m.kind == "uint" and m.max != 2**64 - 1:
        parts.append(f"up to {m.max}")
    if m.default is not None:
        parts.append(f"default `{json.dumps(m.default)}`")
    return "; ".join(parts + ["streamed"] * m.bulk + ["secret: never logged"] * m.secret)


def member_table(struct, title):
    rows = [f"| `{m.name}`{' (optional)' if m.optional else ''} | {type_name(m)} | {bounds(m)} | {m.doc} |\n"
            for m in struct.members]
    return f"\n| {title} | type | bounds | |\n|---|---|---|---|\n{''.join(rows)}"


def command_text(c):
    facts = [f"process `{c.worker.name}`", f"since {c.since}", f"classes {', '.join(f'`{k}`' for k in c.classes)}",
             f"deadline {c.deadline} ms", f"reply at most {c.reply_max} bytes", f"audit `{c.audit}`"]
    facts += [f"`{f}`" for f in c.flags] + ([] if c.served else ["**not served by this build**"])
    text = f"\n### {c.name}\n\n{c.doc}\n\n{'; '.join(facts)}.\n"
    if c.args:
        text += member_table(c.args, "argument")
    if c.bare:
        m = c.ret.members[0]
        text += f"\nReturns {type_name(m)}: {m.doc}{f' ({bounds(m)})' if bounds(m) else ''}.\n"
    elif c.ret:
        text += member_table(c.ret, "member of the answer")
    else:
        text += "\nReturns nothing.\n" if "no-reply" in c.flags else "\nReturns `{}`.\n"
    return text + (f"\nErrors: {', '.join(f'`{e}`' for e in c.errors)}.\n" if c.errors else "")


def commands_md(schema):
    with open(os.path.join(os.path.dirname(__file__), "introduction.md"), encoding="utf-8") as file:
        text = file.read().format(level=schema.level, n=len(schema.commands))
    text += "\n## Processes\n\n" + "".join(
        f"* `{w.name}`{'' if w.built else ' (not in this build)'}: {w.doc}\n" for w in schema.workers.values())
    text += "\n## Classes\n\n"
    for name, doc in schema.classes.items():
        members = ", ".join(c.name for c in schema.commands if name in c.classes)
        text += f"* `{name}`: {doc}{f' ({members})' if members else ''}\n"
    text += "\n## Commands\n" + "".join(map(command_text, schema.commands)) + "\n## Types\n"
    shown = [c.ret for c in schema.commands]
    for s in (s for s in schema.structs if s not in shown):
        text += f"\n### {s.name}\n\n{s.doc}\n{member_table(s, 'member')}"
    for e in schema.enums:
        rows = "".join(f"| `{v.name}` | {', '.join(f'`{json.dumps(a)}`' for a in v.aliases)} | {v.doc} |\n"
                       for v in e.values)
        text += f"\n### {e.name}\n\n{e.doc}\n\n| value | also | |\n|---|---|---|\n{rows}"
    rows = "".join(f"| BH{c.number} | `{c.name}` | {c.klass} | {c.doc} |\n" for c in schema.codes)
    return text + f"\n## Error codes\n\n| code | name | class | |\n|---|---|---|---|\n{rows}"


def example(m):
    """A small value that the member accepts."""
    value = {"bool": lambda: True, "int": lambda: max(m.min, min(m.max, 1)), "uint": lambda: min(m.max, 1),
             "number": lambda: 0.5, "str": lambda: "/tmp/x"[:m.max_len], "bytes": lambda: "eA==" if m.max_len else "",
             "enum": lambda: m.of.values[0].name,
             "struct": lambda: {n.name: example(n) for n in m.of.members}}[m.kind]()
    return [value] if m.list else value


def request(c):
    arguments = {m.name: example(m) for m in c.args.members} if c.args else {}
    return json.dumps({"execute": c.name, **({"arguments": arguments} if arguments else {})})


def dictionary(schema):
    words = {"execute", "arguments", "id"} | {c.name for c in schema.commands}
    words |= {m.name for c in schema.commands if c.args for m in c.args.members}
    return "".join(f'"{w}"\n' for w in sorted(words)) + '"\\xff"\n"\\\\u0000"\n"\\\\ud800"\n'


def files(schema):
    return {"COMMANDS.md": commands_md(schema), "requests.seed": "\n".join(map(request, schema.commands)) + "\n",
            "protocol.dict": dictionary(schema)}
