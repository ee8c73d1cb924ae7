# SPDX-License-Identifier: GPL-2.0-or-later
"""`ring3 device show --json` against what lspci says of the same device."""
import json
import os
import re
import subprocess
import tempfile

CAP_IDS = {'Power Management': 1, 'MSI:': 5, 'Vendor Specific': 9,
           'Express': 16, 'MSI-X:': 17, 'SATA HBA': 18}


def show(ring3, what):
    out = subprocess.run([ring3, 'device', 'show', '--json', what],
                         stdout=subprocess.PIPE, check=True).stdout
    return json.loads(out)


def flag(text, name):
    """name+ is true, name- false, neither None."""
    found = re.search(re.escape(name) + r'([+-])', text)
    return found and found.group(1) == '+'


def compare(ours, text, bars=True):
    """Every field that both have."""
    head = re.search(r'^\S+ (\w{4}): (\w{4}:\w{4})(?: \(rev (\w+)\))?'
                     r'(?: \(prog-if (\w+))?', text, re.M)
    assert ours['class'][:4] == head[1], (ours['class'], head[1])
    assert ours['id'] == head[2], (ours['id'], head[2])
    assert ours['revision'] == int(head[3] or '0', 16)
    if head[4]:
        assert ours['class'][4:] == head[4]
    sub = re.search(r'Subsystem: (\w{4}):(\w{4})', text)
    if sub:
        assert (ours['subvendor'], ours['subdevice']) == \
            (int(sub[1], 16), int(sub[2], 16))
    control = re.search(r'Control: .*', text)[0]
    for bit, name in enumerate(('I/O', 'Mem', 'BusMaster')):
        assert bool(ours['command'] & 1 << bit) == flag(control, name), name
    compare_caps(ours, text)
    if bars:
        compare_bars(ours, text)


def compare_caps(ours, text):
    caps = {c['offset']: c['id'] for c in ours['capabilities']}
    seen = re.findall(r'Capabilities: \[(\w\w)\] (.*)', text)
    assert sorted(caps) == sorted(int(at, 16) for at, _ in seen), (caps, seen)
    for at, name in seen:
        for known, number in CAP_IDS.items():
            if name.startswith(known):
                assert caps[int(at, 16)] == number, (at, name)
    extended = re.findall(r'Capabilities: \[(\w{3,4})(?: v\d+)?\]', text)
    assert sorted(c['offset'] for c in ours['extended_capabilities']) == \
        sorted(int(at, 16) for at in extended)
    msix = re.search(r'MSI-X: Enable([+-]) Count=(\d+).*\n'
                     r'\s*Vector table: BAR=(\d) offset=(\w+)\n'
                     r'\s*PBA: BAR=(\d) offset=(\w+)', text)
    assert bool(msix) == ('msix' in ours)
    if msix:
        m = ours['msix']
        assert (m['enabled'], m['vectors'], m['table_bar'],
                m['table_offset'], m['pba_bar'], m['pba_offset']) == \
            (msix[1] == '+', int(msix[2]), int(msix[3]), int(msix[4], 16),
             int(msix[5]), int(msix[6], 16)), m
    power = re.search(r'Status: D(\d) NoSoftRst([+-])', text)
    assert bool(power) == ('pm' in ours)
    if power:
        assert ours['pm']['state'] == int(power[1])
        assert ours['pm']['no_soft_reset'] == (power[2] == '+')
    if 'express' in ours and flag(text, 'FLReset') is not None:
        assert ours['express']['flr'] == flag(text, 'FLReset')


def compare_bars(ours, text):
    units = {'': 1, 'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}
    seen = {int(n): (kind, int(at, 16), int(size) * units[unit])
            for n, kind, at, size, unit in re.findall(
                r'Region (\d): (Memory|I/O ports) at (\w+).*'
                r'\[size=(\d+)([KMG]?)\]', text)}
    mine = {b['index']: ('Memory' if b['kind'] == 'memory' else 'I/O ports',
                         b['address'], b['size'])
            for b in ours['bars'] if b['address']}
    assert mine == seen, (mine, seen)


def check_dump(ring3, what, config):
    """A vfio-user device, by lspci -F over its configuration space."""
    lines = ['00:00.0 device']
    lines += [f'{i:02x}: ' + ' '.join(f'{b:02x}' for b in config[i:i + 16])
              for i in range(0, len(config), 16)]
    with tempfile.NamedTemporaryFile('w', suffix='.dump') as f:
        f.write('\n'.join(lines) + '\n\n')
        f.flush()
        text = subprocess.run(['lspci', '-F', f.name, '-nvv'], check=True,
                              text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout
    compare(show(ring3, what), text, bars=False)


def check_machine(ring3):
    """Every device of this machine.  The number of them."""
    env = dict(os.environ, LC_ALL='C')
    devices = json.loads(subprocess.run(
        [ring3, 'device', 'list', '--json'], check=True,
        stdout=subprocess.PIPE).stdout)['devices']
    for d in devices:
        text = subprocess.run(
            ['lspci', '-Dnvv', '-s', d['address']], check=True, text=True,
            env=env, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL).stdout
        try:
            compare(show(ring3, d['address']), text)
        except AssertionError as e:
            raise AssertionError(f"{d['address']}: {e}\n{text}") from e
    count = len(subprocess.run(['lspci'], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
                .stdout.splitlines())
    assert count == len(devices), (count, len(devices))
    return count
