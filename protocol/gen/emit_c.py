"""Writes the C files. Nothing is checked here: model.py has, and protocol/wire/row.h makes the compiler refuse a row
that does not fit its struct."""

import json

C_TYPES = {"bool": "bool", "int": "int64_t", "uint": "uint64_t", "number": "double", "str": "struct bh_str",
           "bytes": "struct bh_bytes", "enum": "uint8_t"}


def head(text, guard=True):
    return f"/* Generated from protocol/schema.json: {text} Do not edit. */\n{'#pragma once' * guard}\n\n".replace(
        "\n\n\n", "\n\n")


def upper(name):
    return name.upper().replace("-", "_").lstrip("@")


def c_type(member):
    return f"struct {member.of.c}" if member.kind == "struct" else C_TYPES[member.kind]


def c_string(text):
    plain = set(range(32, 127)) - set(b'"\\?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'


def c_int(value):
    return "INT64_MIN" if value == -2**63 else f"INT64_C({value})"


def enumeration(name, values, count=None, numbers=None):
    rows = [f"    {v}{f' = {numbers[i]}' if numbers else ''}," for i, v in enumerate(values)]
    return "\n".join([f"enum {name} {{"] + rows + ([f"    {count},"] if count else []) + ["};", ""])


def structs(schema):
    """All structs that go over the wire, each after those it contains."""
    own = [s for c in schema.commands for s in (c.args, c.ret) if s and s not in schema.structs]
    return schema.structs + own


# Headers

def default_macro(struct, member):
    name = f"{struct.c}_{member.c}_default".upper()
    value = {"int": lambda: c_int(member.default), "uint": lambda: f"UINT64_C({member.default})",
             "bool": lambda: str(member.default).lower(), "str": lambda: f"BH_STR({c_string(member.default)})",
             "enum": lambda: enum_value(member.of, next(v for v in member.of.values if v.name == member.default))}
    return f"#define {name} {value[member.kind]()}\n"


def enum_value(enum, value):
    return f"BH_{enum.c}_{value.c}".upper()


def struct_text(struct):
    lines = [f"/* {struct.doc} */", f"struct {struct.c} {{"]
    for m in struct.members:
        if m.optional:
            lines.append(f"    bool has_{m.c};")
        kind = f" (enum bh_{m.of.c})" if m.kind == "enum" else ""
        lines.append(f"    {c_type(m)} {'*' if m.list else ''}{m.c}; /* {m.doc}{kind} */")
        if m.list:
            lines.append(f"    uint32_t n_{m.c};")
    text = "\n".join(lines + ["};", ""])
    return text + "".join(default_macro(struct, m) for m in struct.members if m.default is not None)


def types_h(schema):
    text = head("the structs that commands take and return.")
    text += '#include <stdbool.h>\n#include <stdint.h>\n\n#include "protocol/base/arena.h"\n\n'
    for e in schema.enums:
        text += f"/* {e.doc} */\n" + enumeration(f"bh_{e.c}", [enum_value(e, v) for v in e.values],
                                                  f"BH_{e.c.upper()}_COUNT") + "\n"
    return text + "\n".join(struct_text(s) for s in structs(schema))


def codes_h(schema):
    text = head("the numbers of errors.") + '#include "protocol/wire/code.h"\n\n'
    return text + enumeration("bh_error_code", [c.c for c in schema.codes], None, [c.number for c in schema.codes])


def commands_h(schema):
    text = head("the numbers of commands, workers and classes.")
    text += f'#include <stdbool.h>\n#include <stddef.h>\n\n#include "protocol/wire/table.h"\n\n#define BH_PROTOCOL_LEVEL "{schema.level}"\n'
    text += f"#define BH_SCHEMA_HASH 0x{schema.hash}u\n\n"
    for name, prefix, values in (("command", "CMD", [c.name for c in schema.commands]),
                                 ("worker", "WORKER", schema.workers), ("class", "CLASS", schema.classes)):
        text += enumeration(f"bh_{name}_id", [f"BH_{prefix}_{upper(v)}" for v in values], f"BH_{prefix}_COUNT") + "\n"
    return text + """extern const struct bh_command bh_commands[BH_CMD_COUNT];
extern const char *const bh_worker_names[BH_WORKER_COUNT];
extern const char *const bh_class_names[BH_CLASS_COUNT];

/* Every type that goes over the wire; tests and fuzzers walk it. */
extern const struct bh_type *const bh_wire_types[];
extern const unsigned bh_n_wire_types;

/* Index of the command of that name, or -1. */
int bh_command_find(const char *name, size_t len);

/* Is it one of our own, of class @extension and no other? qemu-ga has none, so it is shown only where it is granted. */
bool bh_command_is_extension(unsigned command);
"""


# Tables

def row(struct, m):
    s, pointer = f"struct {struct.c}", " *" if m.list else ""
    flags = [f.upper() for f in ("optional", "list", "bulk", "secret") if getattr(m, f)]
    parts = [f"BH_ROW({c_string(m.name)}, {s}, {m.c}, {c_type(m)}{pointer})",
             f".kind = BH_KIND_{m.kind.upper()}"]
    if flags:
        parts.append(".flags = " + " | ".join("BH_FIELD_" + f for f in flags))
    if m.optional:
        parts.append(f".has = BH_AT({s}, has_{m.c}, bool)")
    if m.list:
        parts += [f".count = BH_AT({s}, n_{m.c}, uint32_t)", f".items = {m.items}"]
    if m.kind in ("str", "bytes"):
        parts.append(f".limit = {m.max_len}")
    if m.kind == "int":
        parts += [f".min = {c_int(m.min)}", f".max = (uint64_t){c_int(m.max)}"]
    if m.kind == "uint":
        parts.append(f".max = UINT64_C({m.max})")
    if m.kind == "enum":
        parts.append(f".of.enumeration = &enum_{m.of.c}")
    if m.kind == "struct":
        parts.append(f".of.type = &type_{m.of.c}")
    return "    { " + ", ".join(parts) + " },\n"


def enum_table(e):
    values = ", ".join(c_string(v.name) for v in e.values)
    aliases = [f"    {{ {c_string(json.dumps(a))}, {enum_value(e, v)} }},\n" for v in e.values for a in v.aliases]
    text = f"static const char *const values_{e.c}[] = {{ {values} }};\n"
    text += f"BH_SAME_LENGTH(values_{e.c}, BH_{e.c.upper()}_COUNT);\n"
    if aliases:
        text += f"static const struct bh_alias aliases_{e.c}[] = {{\n{''.join(aliases)}}};\n"
    text += f"static const struct bh_enumeration enum_{e.c} = {{ {c_string(e.name)}, values_{e.c}, "
    return text + f"{f'aliases_{e.c}' if aliases else 'NULL'}, {len(e.values)}, {len(aliases)} }};\n\n"


def type_table(s):
    text = f"static const struct bh_field fields_{s.c}[] = {{\n{''.join(row(s, m) for m in s.members)}}};\n"
    text += f"static const struct bh_type type_{s.c} = {{ {c_string(s.name)}, sizeof(struct {s.c}), "
    return text + f"{len(s.members)}, fields_{s.c} }};\n\n"


def bulk(struct):
    """The bulk members, as pointers to their fields."""
    return [f"&fields_{struct.c}[{i}]" for i, m in enumerate(struct.members if struct else ()) if m.bulk] or ["NULL"]


def command_row(c):
    flags = " | ".join("BH_COMMAND_" + upper(f) for f in c.flags) or "0"
    classes = " | ".join(f"1u << BH_CLASS_{upper(k)}" for k in c.classes)
    parts = [f".name = {c_string(c.name)}", f".doc = {c_string(c.doc)}", f".since = {c_string(c.since)}",
             f".worker = BH_WORKER_{upper(c.worker.name)}", f".flags = {flags}",
             f".audit = BH_AUDIT_{c.audit.upper()}", f".served = {str(c.served).lower()}",
             f".deadline_ms = {c.deadline}", f".reply_max = {c.reply_max}", f".classes = {classes}",
             f".args = {f'&type_{c.args.c}' if c.args else 'NULL'}",
             f".ret = {f'&type_{c.ret.c}' if c.ret else 'NULL'}", f".bare = {str(c.bare).lower()}",
             f".bulk_arg = {bulk(c.args)[0]}", f".bulk_ret = {{ {', '.join(bulk(c.ret))} }}"]
    return f"    [BH_CMD_{upper(c.name)}] = {{\n" + "".join(f"        {p},\n" for p in parts) + "    },\n"


def array(declaration, rows, count=None):
    """A const array; an empty one gets one zero row that the count leaves out, since C has no empty arrays."""
    text = f"{declaration} = {{\n{''.join(rows) or '    { 0 },'+chr(10)}}};\n"
    return text + (f"const unsigned {count} = {len(rows)};\n\n" if count else "\n")


def tables_c(schema):
    text = head("the tables of types, commands and codes.", False)
    for name in ("codes.h", "commands.h", "json/lexer.h", "types.h", "wire/row.h"):
        text += f'#include "protocol/{name}"\n'
    text += '\n_Static_assert(BH_CLASS_COUNT <= 32, "classes are bits of a uint32_t");\n\n'
    text += "".join(map(enum_table, schema.enums)) + "".join(map(type_table, structs(schema)))
    rows = [f"    &type_{s.c},\n" for s in structs(schema)]
    text += array("const struct bh_type *const bh_wire_types[]", rows, "bh_n_wire_types")
    text += array("const struct bh_command bh_commands[BH_CMD_COUNT]", list(map(command_row, schema.commands)))
    for what, names in (("worker", schema.workers), ("class", schema.classes)):
        rows = [f"    [BH_{what.upper()}_{upper(n)}] = {c_string(n)},\n" for n in names]
        text += array(f"const char *const bh_{what}_names[BH_{what.upper()}_COUNT]", rows)
    rows = [f"    {{ {c.c}, {c_string(c.name)}, {c_string(c.klass)}, {c_string(c.doc)} }},\n" for c in schema.codes]
    text += array("const struct bh_code bh_codes[]", rows, "bh_n_codes")
    rows = [f"    {{ {c_string(n.name)}, BH_WORKER_{upper(n.worker.name)}, {str(n.secret).lower()} }},\n"
            for n in schema.lifted]
    return text + array("const struct bh_lifted bh_lifted[]", rows, "bh_n_lifted").rstrip("\n") + "\n"


# Handlers

def prototype(c):
    args = [f"const struct {c.args.c} *args"] if c.args else []
    ret = [f"struct {c.ret.c} *ret"] if c.ret else []
    return f"int bh_do_{c.c}({', '.join(['struct bh_call *call'] + args + ret)})"


def handlers_h(worker, commands):
    text = head(f"what the {worker.name} process has to implement.")
    text += '#include "protocol/types.h"\n#include "protocol/wire/op.h"\n'
    return text + "".join(f"\n/* {c.doc} */\n{prototype(c)};\n" for c in commands)


def ops_c(worker, commands):
    text = head(f"the commands of the {worker.name} process.", False)
    text += f'#include "protocol/commands.h"\n#include "protocol/handlers-{worker.name}.h"\n\n'
    for c in commands:
        unused = "".join(f"    (void){n};\n" for n, s in (("args", c.args), ("ret", c.ret)) if not s)
        call = ", ".join(["call"] + ["args"] * bool(c.args) + ["ret"] * bool(c.ret))
        text += f"static int run_{c.c}(struct bh_call *call, const void *args, void *ret)\n{{\n{unused}"
        text += f"    return bh_do_{c.c}({call});\n}}\n\n"
    rows = [f"    {{ BH_CMD_{upper(c.name)}, run_{c.c} }},\n" for c in commands]
    return text + array("const struct bh_op bh_ops[]", rows, "bh_n_ops").rstrip("\n") + "\n"


def files(schema):
    result = {"commands.h": commands_h(schema), "types.h": types_h(schema), "codes.h": codes_h(schema),
              "tables.c": tables_c(schema)}
    for worker in schema.workers.values():
        commands = [c for c in schema.commands if c.worker is worker and not c.planned]
        result[f"handlers-{worker.name}.h"] = handlers_h(worker, commands)
        result[f"ops-{worker.name}.c"] = ops_c(worker, commands)
    return result
