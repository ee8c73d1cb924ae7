#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Fails when a file includes what its layer forbids.

The table of layers is the block after "## Layers" in ARCHITECTURE.md: from
the ground up, parts of one row may not include each other, and nobody
includes upwards.  A part's private headers are nobody else's business.
"""
import os
import re
import sys

ROOT = os.environ.get("MESON_SOURCE_ROOT",
                      os.path.dirname(os.path.dirname(__file__)))
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def layers():
    """Part -> row, and public header -> part, from ARCHITECTURE.md."""
    rows, headers, row = {}, {}, 0
    text = open(os.path.join(ROOT, "ARCHITECTURE.md")).read()
    block = text.split("## Layers", 1)[1].split("```")[1]
    for line in block.strip().splitlines():
        parts, _, names = line.partition(":")
        for part in parts.split():
            rows[part] = row
        for name in names.split():
            headers[name] = parts.split()
        row += 1
    return rows, headers


def owner_of(header, rows, headers):
    """The parts that a public header ring3/NAME.h belongs to."""
    name = header[len("ring3/"):]
    if name.startswith("wire/"):
        return ["base"]
    if name in headers:
        return headers[name]
    part = name.split("/")[0].removesuffix(".h").split("_")[0]
    return [part] if part in rows else None


def check(path, part, rows, headers, problems):
    for number, line in enumerate(open(path, errors="replace"), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        target = match.group(1)
        where = f"{os.path.relpath(path, ROOT)}:{number}"
        if target.startswith("ring3/"):
            owners = owner_of(target, rows, headers)
            if not owners:
                problems.append(f"{where}: {target} belongs to no layer")
            elif part not in owners and \
                    min(rows[o] for o in owners) >= rows[part]:
                problems.append(f"{where}: {part} may not include {target}")
        else:
            real = os.path.normpath(os.path.join(os.path.dirname(path),
                                                 target))
            home = os.path.join(ROOT, "src", part) + os.sep
            base = os.path.join(ROOT, "include") + os.sep
            if os.path.exists(real) and not real.startswith((home, base)):
                problems.append(f"{where}: {target} is private elsewhere")


def main():
    rows, headers = layers()
    problems, count = [], 0
    for part in sorted(os.listdir(os.path.join(ROOT, "src"))):
        if part not in rows:
            problems.append(f"src/{part}: in no row of ARCHITECTURE.md")
            continue
        for folder, _, files in os.walk(os.path.join(ROOT, "src", part)):
            for name in files:
                if name.endswith((".c", ".h")):
                    count += 1
                    check(os.path.join(folder, name), part, rows, headers,
                          problems)
    print("\n".join(problems))
    print(f"{count} files, {len(problems)} forbidden includes")
    return 1 if problems or not count else 0


sys.exit(main())
