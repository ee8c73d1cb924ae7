#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Write C source that holds certificates: embed.py OUT.c FILE.pem..."""
import base64
import re
import sys


def der(path):
    """The bytes between the BEGIN and END lines."""
    with open(path) as f:
        text = f.read()
    body = re.search('-----BEGIN CERTIFICATE-----(.*?)-----END', text, re.S)
    return base64.b64decode(body.group(1))


with open(sys.argv[1], 'w') as out:
    out.write('#include "cert.h"\n\n'
              'const struct reg_cert reg_certs_builtin[] = {\n')
    for path in sys.argv[2:]:
        cert = der(path)
        text = ''.join(f'\\x{byte:02x}' for byte in cert)
        rows = [text[i:i + 64] for i in range(0, len(text), 64)]
        out.write('\t{ (const unsigned char *)\n')
        out.write(''.join(f'\t"{row}"\n' for row in rows))
        out.write(f'\t, {len(cert)} }},\n')
    out.write('\t{ 0, 0 },\n};\n')
