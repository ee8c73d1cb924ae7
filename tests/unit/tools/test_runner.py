#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What ./check makes of a test program's exit code and output.

The TAP lines are those of testanything.org's specification, version 13, and of
cmocka 1.1.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.environ['MESON_SOURCE_ROOT'], 'tests'))
import runner   # noqa: E402

# name, exit code, output, wanted (passed, failed, skipped, is it wrong)
ROWS = [
    ('exit 0, no TAP', 0, 'fine\n', (1, 0, 0, False)),
    ('exit 1, no TAP', 1, 'bad\n', (0, 1, 0, True)),
    ('two cases', 0, 'ok 1 - a\nok 2 - b\n1..2\n', (2, 0, 0, False)),
    ('plan first, as cmocka', 0, '1..1\nok 1 - a\n', (1, 0, 0, False)),
    ('two groups', 0, '1..1\nok 1 - a\n1..2\nok 1 - b\nok 2 - c\n',
     (3, 0, 0, False)),
    ('one of two fails', 1, '1..2\nok 1 - a\nnot ok 2 - b\n',
     (1, 1, 0, True)),
    ('fails but exits 0', 0, '1..1\nnot ok 1 - a\n', (0, 1, 0, True)),
    ('passes but exits 1', 1, '1..1\nok 1 - a\n', (1, 1, 0, True)),
    ('ends early with exit 0', 0, '1..3\nok 1 - a\n', (1, 1, 0, True)),
    ('killed', -9, '1..2\nok 1 - a\n', (1, 1, 0, True)),
    ('too late', None, '1..2\nok 1 - a\n', (1, 1, 0, True)),
    ('skipped, why', 77, 'x\nSKIP: no /dev/kvm\n', (0, 0, 1, False)),
    ('skipped, no why', 77, 'x\n', (0, 1, 0, True)),
    ('skipped, no output', 77, '', (0, 1, 0, True)),
    ('one case skipped', 0, '1..2\nok 1 - a\nok 2 - b # SKIP no IPv6\n',
     (1, 0, 1, False)),
    ('one case skipped, as cmocka', 0, '1..1\nnot ok 1 # SKIP b\n',
     (0, 0, 1, False)),
    ('ok in a log line', 0, 'ok then\n', (1, 0, 0, False)),
]


def main():
    wrong_rows = 0
    print(f'1..{len(ROWS)}')
    for number, (name, code, output, wanted) in enumerate(ROWS, 1):
        passed, failed, skips, wrong = runner.judge(code, output)
        got = (passed, failed, len(skips), bool(wrong))
        if got != wanted:
            wrong_rows += 1
            print(f'# wanted {wanted}, got {got}')
        print(f'{"ok" if got == wanted else "not ok"} {number} - {name}')
    return 1 if wrong_rows else 0


sys.exit(main())
