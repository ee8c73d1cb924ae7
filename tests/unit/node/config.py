# SPDX-License-Identifier: GPL-2.0-or-later
"""Wrong configurations: where, what, and what would be right.

Each row: a name, the file after "[node] name = n", the errors in full with
the line counted from the file's first.  Nothing may be started or created.
"""
import os

from nodelib import Failed, Place, expect

A = '[model a]\ntype = test\n'
LONG = 'x' * 70

ROWS = [
    ('correct', A, []),
    ('all keys', A + '[driver b]\ntype = user\ndevice = a\nqueues = 16\n'
     'size = 1G\ntrim = yes\nhang_ms = 100\nlimit = 0\n', []),
    ('a socket of somebody else',
     '[driver b]\ntype = user\ndevice = vfio-user:x.sock\n', []),
    ('a PCI device', '[driver b]\ntype = user\ndevice = pci:0000:01:00.0\n',
     []),
    ('no server', '',
     [' there is no server in it; write a section such as [model disk0]']),
    ('unknown kind', '[modle a]\ntype = test\n',
     ["3: there is no kind of section 'modle'; did you mean 'model'?"]),
    ('no type', '[model a]\n',
     ["3: [model a] has no type; write 'type = ...', one of: test"]),
    ('unknown type', '[model a]\ntype = tset\n',
     ["4: there is no model of type 'tset'; did you mean 'test'?"]),
    ('unknown type, nothing near', '[model a]\ntype = tape-drive\n',
     ["4: there is no model of type 'tape-drive'; there is: test"]),
    ('unknown key', A + 'strat = exit\n',
     ["5: [model a] (type test) has no key 'strat'; did you mean 'start'?"]),
    ('unknown key, nothing near', A + 'colour = red\n',
     ["5: [model a] (type test) has no key 'colour'"]),
    ('a common key misspelt', A + 'hang-ms = 200\n',
     ["5: [model a] (type test) has no key 'hang-ms'; "
      "did you mean 'hang_ms'?"]),
    ('not a choice', A + 'start = maybe\n',
     ['5: start = maybe: one of ready|exit|hang is wanted']),
    ('a number below', A + 'hang_ms = 99\n',
     ['5: hang_ms = 99: a number from 100 to 600000 is wanted']),
    ('a number above', '[driver b]\ntype = user\ndevice = pci:0000:01:00.0\n'
     'queues = 17\n', ['6: queues = 17: a number from 1 to 16 is wanted']),
    ('not a size', '[driver b]\ntype = user\ndevice = pci:0000:01:00.0\n'
     'size = big\n',
     ['6: size = big: a size (bytes, or with K, M, G, T) from 4096 to '
      '1073741824 is wanted']),
    ('neither yes nor no', '[driver b]\ntype = user\n'
     'device = pci:0000:01:00.0\ntrim = on\n',
     ['6: trim = on: yes or no is wanted']),
    ('a key is missing', '[driver b]\ntype = user\n',
     ["3: [driver b] has no device; write 'device = ...': who it uses"]),
    ('an unknown device', A + '[driver b]\ntype = user\ndevice = aa\n',
     ["7: device: there is no server 'aa'; did you mean 'a'?"]),
    ('not a PCI address', '[driver b]\ntype = user\ndevice = pci:1:0\n',
     ["5: device: 'pci:1:0' is no PCI address; one looks like "
      "pci:0000:01:00.0 ('ring3 device list')"]),
    ('uses itself', '[driver b]\ntype = user\ndevice = b\n',
     ['3: b leads back to itself through its devices; break the circle']),
    ('a circle', '[driver b]\ntype = user\ndevice = c\n'
     '[driver c]\ntype = user\ndevice = b\n',
     ['3: b leads back to itself through its devices; break the circle']),
    ('no such file', A + 'file = none.img\n',
     ['5: file: DIR/none.img: No such file or directory; name a file that '
      'exists']),
    ('a folder is no file', A + 'file = .\n',
     ['5: file: DIR/. is a folder; name a file']),
    ('a socket path too long', A + f'listen = /{LONG}/{LONG}\n',
     [f'5: listen: a socket\'s path has at most 107 bytes, and this one has '
      f'142: /{LONG}/{LONG}']),
    ('one listen path for two', A + 'listen = /tmp/s\n'
     '[model c]\ntype = test\nlisten = /tmp/s\n',
     ['8: listen: a has it already; only one server can, give c one of its '
      'own']),
    ('one file for two', A + 'file = n.conf\n'
     '[model c]\ntype = test\nfile = ./n.conf\n',
     ['8: file: a has it already; only one server can, give c one of its '
      'own']),
    ('one device for two', A + '[driver b]\ntype = user\ndevice = a\n'
     '[driver c]\ntype = user\ndevice = a\n',
     ['10: device: b has it already; only one server can, give c one of its '
      'own']),
    ('one disk for two guests', A + '[guest g]\nkernel = n.conf\n'
     'disk = a\n[guest h]\nkernel = n.conf\ndisk = a\n',
     ['8: disk: guest g has a already; give h a driver of its own']),
    ('a name twice', A + '[driver a]\ntype = user\ndevice = a\n',
     ['5: line 3 already has a model called a; names are for all of the '
      'node']),
    ('a section without a name', '[model]\ntype = test\n',
     ['3: [model] has no name; write [model NAME]']),
    ('a second node', A + '[node x]\nname = y\n',
     ["5: a file has one [node], and its name is a key: 'name = x'"]),
    ('several at once', A + 'start = no\nhang_ms = x\n',
     ['5: start = no: one of ready|exit|hang is wanted',
      '6: hang_ms = x: a number from 100 to 600000 is wanted']),
    ('a guest', A + '[guest g]\nkernel = n.conf\ndisk = a\n', []),
    ('a guest without a kernel', A + '[guest g]\ndisk = a\n',
     ["5: [guest g] has no kernel; write 'kernel = ...'"]),
    ('a guest without its disk', A + '[guest g]\nkernel = n.conf\n'
     'disk = nvme0\n', ["7: disk: there is no server 'nvme0'"]),
    ('a guest too small', A + '[guest g]\nkernel = n.conf\ndisk = a\n'
     'memory = 32M\n',
     ['8: memory = 32M: a size (bytes, or with K, M, G, T) from 67108864 to '
      '1099511627776 is wanted']),
    ('half a MiB', A + '[guest g]\nkernel = n.conf\ndisk = a\n'
     'memory = 65537K\n',
     ['5: memory must be a whole number of MiB, such as 512M']),
    ('an unknown engine', A + '[guest g]\nkernel = n.conf\ndisk = a\n'
     'engine = xen\n', ['8: engine = xen: one of auto|kvm|tcg is wanted']),
    ('an unknown key of a guest', A + '[guest g]\nkernel = n.conf\n'
     'disk = a\nmemroy = 1G\n',
     ["8: [guest g] has no key 'memroy'; did you mean 'memory'?"]),
]

HEADS = [
    ('no name', A, ["1: the node has no name; write [node] and below it "
                    "'name = ...'"]),
    ('an empty name', '[node]\n' + A,
     ["1: the node has no name; write [node] and below it 'name = ...'"]),
    ('a name with a slash', '[node]\nname = a/b\n' + A,
     ["2: name = a/b: letters, digits, '-', '_' and '.', at most 63"]),
    ('an unknown key of the node', '[node]\nname = n\nnmae = m\n' + A,
     ["3: [node] has no key 'nmae'; did you mean 'name'?"]),
    ('not INI', '[node]\nname = n\n' + A + 'what\n',
     ["5: neither 'key = value', [section] nor a comment"]),
]


def check(place, text, want):
    path = place.write(text)
    done = place.ring3('config', 'check', path, check=False)
    got = done.stderr.replace(place.dir, 'DIR').splitlines()
    want = [f'DIR/n.conf:{line}' for line in want]
    expect('errors', got, want)
    expect('exit code', done.returncode, 1 if want else 0)
    if os.path.exists(os.path.join(place.dir, 'run')):
        raise Failed('the check made a run directory')


def run():
    rows = [(name, '[node]\nname = n\n' + text, want)
            for name, text, want in ROWS] + HEADS
    failed = 0
    with Place() as place:
        for number, (name, text, want) in enumerate(rows, 1):
            try:
                check(place, text, want)
                print(f'ok {number} - {name}')
            except Failed as why:
                failed += 1
                print(f'not ok {number} - {name}\n# {why}')
    print(f'1..{len(rows)}')
    return 1 if failed else 0


raise SystemExit(run())
