#!/usr/bin/python3
"""Writes everything that follows from protocol/schema.json: C tables and headers, documentation, fuzz material.

    generate.py SCHEMA DIRECTORY
"""

import os
import sys

import emit_c
import emit_doc
import model


def main(argv):
    if len(argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        schema = model.load(argv[1])
    except (model.SchemaError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for name, text in {**emit_c.files(schema), **emit_doc.files(schema)}.items():
        with open(os.path.join(argv[2], name), "w", encoding="utf-8") as file:
            file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
