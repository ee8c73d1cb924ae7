#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Write C source that holds certificates: embed.py OUT.c FILE.pem..."""
import sys

with open(sys.argv[1], 'w') as out:
    out.write('extern const char *const reg_certs_builtin[];\n'
              'const char *const reg_certs_builtin[] = {\n')
    for path in sys.argv[2:]:
        for line in open(path):
            text = line.strip().replace('\\', '').replace('"', '')
            out.write('\t"%s\\n"\n' % text)
        out.write('\t,\n')
    out.write('\t0\n};\n')
