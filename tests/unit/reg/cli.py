#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`ring3 reg` as people use it: exit codes, messages, JSON, files."""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
RING3 = os.path.join(os.environ['MESON_BUILD_ROOT'], 'ring3')
CERTS = os.path.join(os.environ['MESON_SOURCE_ROOT'], 'data/reg/certs')
DB = f'{HERE}/data/regulatory.db'
SIG = f'{DB}.p7s'
count = failed = 0


def ring3(*args, text=True):
    p = subprocess.run([RING3, 'reg', *args], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    if text:
        return p.returncode, p.stdout.decode(), p.stderr.decode()
    return p.returncode, p.stdout, p.stderr


def row(name, good, *why):
    global count, failed
    count += 1
    failed += not good
    print(f'{"ok" if good else "not ok"} {count} - {name}')
    for line in [] if good else [x for w in why for x in str(w).splitlines()]:
        print('#', line)


def says(name, args, code, *words):
    """The exit code, and words on standard output or error."""
    got, out, err = ring3(*args)
    row(name, got == code and all(w in out + err for w in words), got, out,
        err)


def flipped(path, at, folder):
    data = bytearray(open(path, 'rb').read())
    data[at] ^= 1
    new = os.path.join(folder, f'{os.path.basename(path)}-{at}')
    open(new, 'wb').write(data)
    return new


def databases(tmp):
    says('verify', ['verify', '--db', DB], 0, 'verified', '182 countries')
    says('verify by argument', ['verify', DB], 0, 'verified')
    says('verify with a folder of certificates',
         ['verify', DB, '--certs', CERTS], 0, 'verified')
    says('the wrong certificate', ['verify', DB, '--certs',
         f'{CERTS}/romain.perier@gmail.com.x509.pem'], 1, 'none of the 1')
    says('no certificate', ['verify', DB, '--certs',
         f'{HERE}/data/COPYRIGHT'], 1, 'certificate')
    says('signed by another', ['verify', DB, '--sig',
         f'{SIG}-upstream'], 1, 'none of the 2')
    altered = flipped(DB, 4000, tmp)
    says('one byte of the database', ['verify', altered, '--sig', SIG], 1,
         'altered')
    for at in (25, 700, 1000):
        says(f'byte {at} of the signature',
             ['verify', DB, '--sig', flipped(SIG, at, tmp)], 1)
    says('no signature', ['show', '--db', altered], 1, '--unsigned')
    says('unsigned when told', ['show', '--db', altered, '--unsigned'], 0)
    says('not a database', ['show', '--db', f'{HERE}/data/COPYRIGHT',
                            '--unsigned'], 1, 'RGDB')
    text, again = os.path.join(tmp, 'db.txt'), os.path.join(tmp, 'again.db')
    code, out, err = ring3('decompile', DB, '-o', text)
    row('decompile', code == 0 and not err, err)
    code, out, err = ring3('compile', text, '-o', again)
    same = open(again, 'rb').read() == open(DB, 'rb').read()
    row('compile gives the same bytes', code == 0 and same, err)
    with open(text) as f:
        lines = f.read().replace('(2402 - 2472 @ 40), (20)',
                                 '(2402 - 2472 @ 20), (17)', 1)
    changed = os.path.join(tmp, 'changed.txt')
    open(changed, 'w').write(lines)
    says('diff', ['diff', text, changed], 0, '00  2412', '20 -> 17 dBm (-3 dB)',
         '-40+', '0 channels gained, 0 lost')
    code, out, _ = ring3('diff', '--json', text, changed)
    row('diff --json', all(c['country'] == '00'
                           for c in json.loads(out)['changes']), out)
    open(changed, 'w').write('country DE:\n\t(2400 - 2300 @ 40), (20)\n')
    says('compile says where', ['compile', changed], 1, 'line 2, column 3')
    code, out, _ = ring3('compile', changed, '--json', '-o', again)
    row('compile --json', code == 1 and json.loads(out)['column'] == 3, out)


def questions():
    opts = ['--db', DB]
    says('lookup', ['lookup', 'US', '--freq', '5180', *opts], 0, '23 dBm')
    says('lookup disabled', ['lookup', 'US', '--freq', '2484', *opts], 1,
         'disabled')
    says('lookup radar', ['lookup', 'us', '--freq', '5260', '--no-dfs', *opts],
         1, 'radar')
    says('lookup after CAC', ['lookup', 'US', '--freq', '5260', *opts], 0,
         '60 s')
    says('lookup outdoor', ['lookup', 'DE', '--freq', '5180', '--outdoor',
                            *opts], 1, 'indoor')
    says('lookup power', ['lookup', 'US', '--freq', '2462', '--power', '40',
                          *opts], 1, '30 dBm')
    says('lookup S1G', ['lookup', 'US', '--freq', '902.5', '--width', '2',
                        *opts], 1, 'width')
    says('lookup S1G, its width', ['lookup', 'US', '--freq', '903', '--width',
                                   '2', *opts], 0, '30 dBm')
    says('no frequency', ['lookup', 'US', *opts], 2, '--freq')
    says('no such width', ['lookup', 'US', '--freq', '5180', '--width', '33',
                           *opts], 2, '--width')
    says('no such country', ['lookup', 'XX', '--freq', '5180', *opts], 4, 'XX')
    says('explain', ['explain', '00', '--freq', '2467', *opts], 1,
         'rule 2: 2457-2482', '2457 <= 2457', '92 MHz', 'sha256', "can't know")
    says('explain adjacent rules', ['explain', 'US', '--freq', '5845', *opts],
         1, 'rules 7 and 8 touch at 5850')
    says('explain a miss', ['explain', 'US', '--freq', '2467', *opts], 1,
         '2467 + 20/2 = 2477 > 2472')
    for args in (['show', 'DE'], ['show'],
                 ['lookup', 'US', '--freq', '5180'],
                 ['explain', 'US', '--freq', '5845'], ['verify'],
                 ['decompile'], ['oracle', 'US'],
                 ['oracle', '--hints', 'drv:0:US,ie:1:DE']):
        _, out, err = ring3(*args, '--json', *opts)
        try:
            row(f'{args[0]} --json', bool(json.loads(out)))
        except ValueError as e:
            row(f'{args[0]} --json', False, e, out, err)
    _, out, _ = ring3('show', 'DE', '--svg', *opts)
    row('show --svg', out.startswith('<svg') and out.endswith('</svg>\n')
        and 'channel 36' in out)


def files(tmp):
    path = os.path.join(tmp, 'hostapd.conf')
    open(path, 'w').write('interface=w\ncountry_code=US\nhw_mode=a\n'
                          'channel=52\n')
    opts = ['--db', DB]
    says('check', ['check', path, *opts], 1,
         f'{path}:4:9: error', 'ieee80211h=1', 'would not be allowed')
    says('check --country', ['check', path, '--country', 'GT', *opts], 0)
    _, out, _ = ring3('check', path, '--json', *opts)
    found = json.loads(out)
    row('check --json', not found['allowed'] and
        found['findings'][0]['line'] == 4, out)
    says('check an empty file', ['check', '/dev/null', *opts], 0)
    says('check no file', ['check', '/nonexistent', *opts], 1, 'No such file')
    says('where', ['where', path, *opts], 0, 'may run in', 'not in')
    open(path, 'w').write('radio a\nat 0 user US\nat 1s start a 5260 80\n'
                          'at 2min radar 5300\nend 1h\n')
    says('simulate', ['simulate', path, *opts], 0, '61.000 s  a',
         'network runs on 5260', 'leaves 5260', 'network runs on 5180')
    _, out, _ = ring3('simulate', path, '--json', *opts)
    row('simulate --json', json.loads(out)['domain'] == 'US', out)
    open(path, 'w').write('radio a\nat 0 user\n')
    says('simulate says where', ['simulate', path, *opts], 1, 'line 2')
    says('oracle, unknown event', ['oracle', '--hints', 'foo:1', *opts], 2,
         'drv:RADIO:CC')
    says('oracle, too few radios',
         ['oracle', '--hints', 'drv:3:US', '--radios', '2', *opts], 2,
         'only 2 radios')
    says('oracle --why', ['oracle', '--hints', 'drv:0:US,drv:1:DE,user:DE',
                          '--why', *opts], 0, 'ignores users')


with tempfile.TemporaryDirectory() as folder:
    databases(folder)
    questions()
    files(folder)
print(f'1..{count}')
sys.exit(1 if failed else 0)
