#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual pages name every option and key that there is, and no other."""
import glob
import os
import re
import subprocess

ROOT = os.environ.get("MESON_SOURCE_ROOT", ".")
RING3 = os.path.join(os.environ.get("MESON_BUILD_ROOT", "build"), "ring3")
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]*)")
# of everybody's, on no page; and of other programs, in examples
COMMON = {"help"}
PEERS = {"blockdev", "export", "simple"}


def ring3(*args):
    return subprocess.run([RING3, *args], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def read(path):
    with open(path) as f:
        return f.read()


def described(text):
    """A page without its synopsis: to be listed there is not enough."""
    return re.sub(r"^# SYNOPSIS\n.*?(?=^# )", "", text, flags=re.M | re.S)


def keys():
    """The names in 'ring3 config keys'."""
    return set(re.findall(r"^  +([a-z_]+) ", ring3("config", "keys"), re.M))


def main():
    pages = {os.path.basename(p): read(p)
             for p in glob.glob(ROOT + "/man/*.scd")}
    assert pages, "no pages"
    text = "\n".join(described(p) for p in pages.values())
    there = {}
    for line in ring3("synopsis").splitlines():
        for option in OPTION.findall(line):
            there.setdefault(option, line)
    told = set(OPTION.findall(text))
    faults = [f"--{o} is on no page: {line}" for o, line in there.items()
              if o not in told]
    faults += [f"{name}: there is no --{o}" for name, page in pages.items()
               for o in sorted(set(OPTION.findall(page)) - set(there) -
                               COMMON - PEERS)]
    for key in sorted(keys()):
        if not re.search(rf"\*{re.escape(key)}\*", text.replace("\\", "")):
            faults.append(f"the key {key} is on no page")
    assert len(there) > 50 and len(keys()) > 10, (len(there), len(keys()))
    assert not faults, "\n" + "\n".join(faults)


main()
