# SPDX-License-Identifier: GPL-2.0-or-later
"""The node's commands: exit codes, and what they print."""
import json

from nodelib import Failed, expect, main

A = '[model a]\ntype = test\n'


def code(place, want, *args):
    done = place.ring3(*args, check=False)
    expect(' '.join(args), done.returncode, want)
    return done


def usage_is_2(place):
    for args in (['up'], ['up', 'a', 'b'], ['status', '--what'],
                 ['restart'], ['config'], ['drill', 'x', '--kill', 'a'],
                 ['drill', 'x', '--signal', 'HUP'],
                 ['drill', 'x', '--timeout', '0'],
                 ['up', '--foreground', '--attach', 'x'], ['wat']):
        done = code(place, 2, *args)
        if 'usage:' not in done.stderr:
            raise Failed(f'{args}: no usage line: {done.stderr}')


def not_running_is_3(place):
    for args in (['status'], ['status', 'n'], ['down'], ['down', 'n'],
                 ['restart', 'a'], ['logs'], ['console'],
                 ['status', place.write('[node]\nname = n\n')]):
        done = code(place, 3, *args)
        if 'ring3 up' not in done.stderr:
            raise Failed(f'{args}: does not say what to do: {done.stderr}')


def no_file_is_1(place):
    for verb in (['up'], ['config', 'check'], ['drill']):
        code(place, 1, *verb, 'none.conf')
        code(place, 1, *verb, place.dir)
        code(place, 1, *verb, '/dev/zero')


def several_must_be_named(place):
    for name in 'nm':
        code(place, 0, 'up', place.write(f'[node]\nname = {name}\n' + A))
    done = code(place, 2, 'status')
    code(place, 0, 'down', 'm')
    if done.stderr.count('\n') != 1 or ' m' not in done.stderr:
        raise Failed(done.stderr)


def what_people_try_first(place):
    code(place, 0, '--version')
    code(place, 0, 'help')
    code(place, 0, 'help', 'up')
    code(place, 2, 'help', 'wat')


def unknown_is_4(place):
    place.up(A)
    for args in (['restart', 'b'], ['logs', 'b'], ['console', 'b'],
                 ['restart', 'x y'], ['restart', 'x' * 80]):
        code(place, 4, *args)


def a_life(place):
    path = place.write('[node]\nname = n\n' + A)
    done = code(place, 0, 'up', path)
    if 'node n is up: 1 servers' not in done.stdout:
        raise Failed(done.stdout)
    done = code(place, 1, 'up', path)
    if 'running already' not in done.stderr:
        raise Failed(done.stderr)
    for args in (['status'], ['status', path], ['status', 'n'], ['logs'],
                 ['logs', 'a'], ['logs', 'supervisor'], ['restart', 'a']):
        code(place, 0, *args)
    status = json.loads(code(place, 0, 'status', '--json').stdout)
    expect('node', status['node'], 'n')
    server = status['servers'][0]
    expect('state', server['state'], 'up')
    expect('restarts', server['restarts'], 1)
    expect('status line', server['status'], 'counted 0')
    if server['restart_time']['count'] != 1:
        raise Failed('no restart time')
    code(place, 0, 'down')
    code(place, 3, 'down')


def a_server_that_fails(place):
    done = code(place, 1, 'up', place.write(
        '[node]\nname = n\n' + A + 'start = exit\nlimit = 1\n'))
    if 'a is failed: exit 3' not in done.stderr:
        raise Failed(done.stderr)
    code(place, 3, 'status', 'n')


def without_a_guest_no_drill(place):
    done = code(place, 1, 'drill', place.write('[node]\nname = n\n' + A))
    if 'has no guest' not in done.stderr:
        raise Failed(done.stderr)
    code(place, 3, 'status', 'n')


def without_a_job_no_drill(place):
    path = place.write(f'[node]\nname = n\n{A}[guest g]\nengine = tcg\n'
                       'kernel = n.conf\ndisk = a\n')
    done = code(place, 1, 'drill', path)
    if 'guest g has no job' not in done.stderr:
        raise Failed(done.stderr)
    code(place, 1, 'up', '--job', path)
    code(place, 3, 'status', 'n')


def two_nodes(place):
    place.up(A)
    place.ring3('up', place.write('[node]\nname = m\n' + A, 'm.conf'))
    try:
        code(place, 2, 'status')
        code(place, 0, 'status', 'n')
        code(place, 0, 'restart', 'a', '--node', 'm')
    finally:
        place.ring3('down', 'm')


def the_socket_of_a_living_stranger(place):
    place.up(A)
    sock = place.dir + '/run/n/a.sock'
    done = code(place, 1, 'up', place.write(
        f'[node]\nname = m\n{A}listen = {sock}\n', 'm.conf'))
    if 'Address already in use' not in done.stderr:
        raise Failed(done.stderr)


def doctor_always_tells(place):
    names = [f['name'] for f in json.loads(
        code(place, 0, 'doctor', '--json').stdout)['findings']]
    expect('findings', names,
           ['kvm', 'qemu', 'iommu', 'vfio', 'tap', 'fuse', 'hugepages',
            'memlock', 'io_uring', 'landlock', 'namespaces', 'seccomp'])
    code(place, 0, 'doctor')


def keys_are_listed(place):
    done = code(place, 0, 'config', 'keys')
    for word in ('[model NAME]  type = test', 'ready|exit|hang', '1..16',
                 'who it uses (needed)', '[2]'):
        if word not in done.stdout:
            raise Failed(f'{word!r} is not in it')
    got = json.loads(code(place, 0, 'config', 'keys', 'user',
                          '--json').stdout)['servers']
    expect('types', [spec['type'] for spec in got], ['user'])
    code(place, 4, 'config', 'keys', 'nobody')


main([usage_is_2, not_running_is_3, no_file_is_1,
      several_must_be_named, what_people_try_first, unknown_is_4, a_life,
      a_server_that_fails, without_a_guest_no_drill,
      without_a_job_no_drill, two_nodes,
      the_socket_of_a_living_stranger, doctor_always_tells, keys_are_listed])
