# SPDX-License-Identifier: GPL-2.0-or-later
"""What a server can NOT do, seen from inside it and from outside."""
import os
import re

from nodelib import BUILD, Failed, expect, main, wait_for

A = '[model a]\ntype = test\n'


def sanitized():
    with open(os.path.join(BUILD, 'meson-info/intro-buildoptions.json')) as f:
        return '"b_sanitize", "value": "none"' not in f.read()


def facts(place):
    return dict(re.findall(r'(\S+)=(\S+)', place.ask('early')))


def a_new_server_has_nothing(place):
    """Before its own first instruction: the supervisor's half."""
    place.up(A)
    got = facts(place)
    expect('environment variables', got['env'], '0')
    expect('fds: null, null, log, control', got['fds'], '4')
    expect('pid in its namespace', got['pid'], '1')
    expect('uid: nobody', got['uid'], '65534')
    expect('other processes in /proc', got['proc'], 'none')
    expect('its root', got['root'], 'empty')
    expect('creating a file there', got['create'], 'failed')
    expect('the host\'s files', got['etc'], 'none')
    expect('no new privileges', got['nnp'], '1')
    expect('CAP_SYS_ADMIN in the bounding set', got['bound'], '0')
    expect('its host name', got['host'], 'a')


def a_ready_server_can_do_nothing(place):
    place.up(A)
    got = dict(re.findall(r'(\S+)=(\S+)', place.ask('probe')))
    if len(got) < 20:
        raise Failed(f'only {len(got)} calls were tried')
    allowed = [call for call, what in got.items() if what != 'refused']
    expect('calls that got through', allowed, [])
    expect('it lives on', place.status('a')['restarts'], 0)


def the_kernel_agrees(place):
    place.up(A)
    pid = place.status('a')['pid']
    with open(f'/proc/{pid}/status') as f:
        got = dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)
    for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
        expect(name, int(got[name], 16), 0)
    expect('NoNewPrivs', got['NoNewPrivs'], '1')
    expect('Seccomp: a filter', got['Seccomp'], '2')
    for name in ('mnt', 'net', 'ipc', 'uts', 'pid', 'user'):
        ours = os.readlink(f'/proc/self/ns/{name}')
        if os.readlink(f'/proc/{pid}/ns/{name}') == ours:
            raise Failed(f'the {name} namespace is ours')


def fds_of(place, pid):
    names = []
    for fd in os.listdir(f'/proc/{pid}/fd'):
        try:
            names.append(os.readlink(f'/proc/{pid}/fd/{fd}'))
        except FileNotFoundError:
            pass  # just closed
    return sorted(re.sub(r':\[\d+\]', '', name.replace(place.dir, 'DIR'))
                  for name in names)


def only_the_fds_it_was_given(place):
    open(os.path.join(place.dir, 'file'), 'w').close()
    place.up(A + 'file = file\n')
    pid = place.status('a')['pid']
    expect('it runs', place.ask('pid'), '1')
    want = ['/dev/null', '/dev/null', 'DIR/file', 'DIR/run/n/log/a.log',
            'anon_inode:[eventpoll]', 'anon_inode:[io_uring]',
            'anon_inode:[signalfd]', 'socket', 'socket']
    try: # the connection over which we asked may be there a little longer
        wait_for('its fds', lambda: fds_of(place, pid) == want)
    except Failed:
        expect('its fds', fds_of(place, pid), want)


def two_servers_share_nothing(place):
    place.up(A + '[model b]\ntype = test\n')
    a, b = (place.status(name)['pid'] for name in 'ab')
    for name in ('mnt', 'ipc', 'uts', 'pid', 'user'):
        if os.readlink(f'/proc/{a}/ns/{name}') == \
                os.readlink(f'/proc/{b}/ns/{name}'):
            raise Failed(f'they share the {name} namespace')


def a_refused_call_is_named(place):
    place.up(A)
    place.ask('open')
    unit = place.died('a', 1)
    expect('cause', unit['last_death'],
           'fault SIGSYS: openat (system call 257) is not on its list')
    expect('after', place.ask('after'), 'fault')


def private_files_only(place):
    place.up(A)
    for name in ('', '/log', '/log/a.log', '/control.sock', '/lock'):
        mode = os.stat(f'{place.dir}/run/n{name}').st_mode & 0o777
        if mode & 0o077:
            raise Failed(f'n{name} has mode {mode:o}')


if sanitized():
    print('SKIP: servers are not confined in a build with sanitizers')
    raise SystemExit(77)
main([a_new_server_has_nothing, a_ready_server_can_do_nothing,
      the_kernel_agrees, only_the_fds_it_was_given, two_servers_share_nothing,
      a_refused_call_is_named, private_files_only])
