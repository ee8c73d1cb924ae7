# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers that die in every way: what the supervisor makes of it."""
import fcntl
import glob
import json
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import threading
import time

from nodelib import RING3, Failed, expect, main, wait_for

A = '[model a]\ntype = test\n'
B = '[driver b]\ntype = user\ndevice = a\n'


def after(place, verb, cause, told):
    """It dies of a verb; the next life is told how."""
    place.up(A)
    place.ask(verb)
    unit = place.died('a', 1)
    if not unit['last_death'].startswith(cause):
        raise Failed(f'cause: {unit["last_death"]!r}, expected {cause!r}')
    expect('the new life is told', place.ask('after'), told)


def exit_is_told(place):
    after(place, 'exit', 'exit 7', 'exit')


def a_fault_is_told(place):
    after(place, 'segv', 'fault SIGSEGV at 0x10 ip=0x', 'fault')


def a_full_stack_is_told(place):
    after(place, 'overflow', 'fault SIGSEGV at 0x7', 'fault')


def abort_is_told(place):
    after(place, 'abort', 'fault SIGABRT', 'fault')


def assert_is_told(place):
    after(place, 'assert', 'fault SIGABRT', 'fault')


def signals_from_outside_are_kills(place):
    place.up(A)
    for number, name in enumerate(('SIGKILL', 'SIGSEGV', 'SIGABRT', 'SIGBUS'),
                                  1):
        os.kill(place.status('a')['pid'], getattr(signal, name))
        unit = place.died('a', number)
        expect('cause', unit['last_death'], f'signal {name}')
        expect('told', place.ask('after'), 'kill')
    expect('crash reports', os.listdir(f'{place.dir}/run/n/crash'), [])


def a_hang_is_found(place):
    place.up(A + 'hang_ms = 300\n')
    start = time.monotonic()
    try:
        place.ask('hang', timeout=0.05)
    except OSError:
        pass
    unit = place.died('a', 1)
    took = time.monotonic() - start
    if not 0.2 < took < 3:
        raise Failed(f'found after {took:.2f} s instead of 0.3')
    expect('cause', unit['last_death'], 'hang: no heartbeat')
    expect('told', place.ask('after'), 'hang')


def a_stopped_server_does_not_hang(place):
    place.up(A + 'hang_ms = 200\n')
    pid = place.status('a')['pid']
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1)
    expect('pid', place.status('a')['pid'], pid)
    os.kill(pid, signal.SIGCONT)
    expect('it answers', place.ask('pid'), '1')
    time.sleep(0.5)
    expect('restarts', place.status('a')['restarts'], 0)


def a_stopped_server_can_be_restarted(place):
    place.up(A)
    os.kill(place.status('a')['pid'], signal.SIGSTOP)
    place.ring3('restart', 'a')
    expect('restarts', place.status('a')['restarts'], 1)


def a_crash_loop_is_slowed_down_and_given_up(place):
    place.up(A + 'limit = 4\n')
    start = time.monotonic()
    for number in range(1, 5):
        place.ask('segv')
        place.died('a', number)
    took = time.monotonic() - start
    if took < 0.07:     # 0 + 10 + 20 + 40 ms
        raise Failed(f'four restarts in {took * 1000:.0f} ms: no back-off')
    place.ask('segv')
    wait_for('failed', lambda: place.status('a')['state'] == 'failed')
    log = place.log('supervisor')
    if 'given up after 5 quick deaths' not in log:
        raise Failed('the log does not say so')
    place.ring3('restart', 'a')
    expect('it answers', place.ask('pid'), '1')


def who_was_kept_survives(place):
    place.up(A)
    expect('before', place.ask('kept'), 'none')
    place.ask('keep')
    for number in range(1, 4):
        expect('the page counts on', place.ask('count'), str(number))
        os.kill(place.status('a')['pid'], signal.SIGKILL)
        place.died('a', number)
    expect('the fd', place.ask('kept'), 'kept')
    expect('kept fds', place.status('a')['kept_fds'], 1)
    requests = place.status('a')['requests']
    if requests < 6:
        raise Failed(f'only {requests} requests counted over four lives')


def give(place, fd):
    expect('handed over', place.ask('give', fds=[fd]), 'ok')
    return place.status('a')['kept_fds']


def a_stopped_supervisor_hears_what_matters(place):
    """Though its socket was full of what does not."""
    place.up(A)
    expect('kept', give(place, os.memfd_create('given')), 1)
    supervisor = place.status()['pid']
    os.kill(supervisor, signal.SIGSTOP)
    place.ask('chatter')
    drop = threading.Thread(target=place.ask, args=['drop'])
    drop.start()
    time.sleep(0.1)
    os.kill(supervisor, signal.SIGCONT)
    drop.join()
    wait_for('dropped', lambda: place.status('a')['kept_fds'] == 0)
    expect('restarts', place.status('a')['restarts'], 0)


def a_stopped_supervisor_takes_nobody_for_hung(place):
    place.up(A + 'hang_ms = 200\n')
    supervisor = place.status()['pid']
    os.kill(supervisor, signal.SIGSTOP)
    time.sleep(1)
    os.kill(supervisor, signal.SIGCONT)
    time.sleep(0.3)
    expect('restarts', place.status('a')['restarts'], 0)


def a_pause_of_all_takes_nobody_for_hung(place):
    """As of a whole machine; behind it the supervisor runs first."""
    place.up(A + 'hang_ms = 300\n')
    pids = [place.status()['pid'], place.status('a')['pid']]
    cpu = {min(os.sched_getaffinity(0))}
    for pid in pids:
        os.sched_setaffinity(pid, cpu)
    os.sched_setscheduler(pids[1], os.SCHED_IDLE, os.sched_param(0))
    for _ in range(3):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(1)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.2)
    expect('restarts', place.status('a')['restarts'], 0)


def of_many_ups_one_wins(place):
    """The others say that the node runs, and leave it alone."""
    conf = place.write('[node]\nname = n\n' + A)
    ups = [subprocess.Popen([RING3, 'up', '-q', conf], env=place.env,
                            stderr=subprocess.PIPE) for _ in range(6)]
    said = [up.communicate(timeout=90)[1] for up in ups]
    codes = sorted(up.returncode for up in ups)
    expect('exit codes', codes, [0, 1, 1, 1, 1, 1])
    for text in said:
        if text and b'running already' not in text:
            raise Failed(text)
    expect('state', place.status('a')['state'], 'up')
    with open(os.path.join(place.dir, 'run/n/log/supervisor.log')) as f:
        log = f.read()
    expect('times that the winner says it is up', log.count('is up'), 1)


def one_that_is_ending_is_followed(place):
    """Who holds the node and does not answer any more has a while to go."""
    conf = place.write('[node]\nname = n\n' + A)
    os.makedirs(os.path.join(place.dir, 'run/n/log'))
    with open(os.path.join(place.dir, 'run/n/lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        up = subprocess.Popen([RING3, 'up', '-q', conf], env=place.env)
        time.sleep(0.3)
        expect('it waits', up.poll(), None)
    expect('exit code', up.wait(90), 0)
    expect('state', place.status('a')['state'], 'up')


def lingering():
    """A socket whose close() waits 60 s, as its data finds no room; and the
    one that has to stay open for that."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        s = socket.create_connection(listener.getsockname())
        peer = listener.accept()[0]
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 60))
    s.setblocking(False)
    try:
        while True:
            s.send(bytes(65536))
    except BlockingIOError:
        return s, peer


def nobody_waits_for_a_close(place):
    """What a client gave to its server, and that one to the supervisor."""
    place.up(A)
    peers = []
    for way in ('drop', 'give another'):
        s, peer = lingering()
        peers.append(peer)
        expect('kept', give(place, s.fileno()), 1)
        s.close()
        start = time.monotonic()
        if way == 'drop':
            place.ask('drop')
        else:
            give(place, os.memfd_create('another'))
        expect('kept', place.status('a')['kept_fds'], way != 'drop')
        took = time.monotonic() - start
        if took > 5:
            raise Failed(f'{way}: an answer after {took:.1f} s')
    expect('a file', give(place, os.open('/proc/self/exe', os.O_RDONLY)), 1)
    if 'not kept' not in place.log('supervisor'):
        raise Failed('the log does not say that it is not kept')
    start = time.monotonic()
    place.ring3('down', 'n')
    if time.monotonic() - start > 10:
        raise Failed('its end waited')


def nothing_else_restarts(place):
    place.up(A + B)
    b = place.status('b')['pid']
    for number in range(1, 6):
        os.kill(place.status('a')['pid'], signal.SIGKILL)
        place.died('a', number)
    expect('b', place.status('b')['pid'], b)


def who_connects_while_it_is_dead_waits(place):
    place.up(A)
    os.kill(place.status('a')['pid'], signal.SIGKILL)
    expect('answer', place.ask('pid'), '1')


def a_connection_is_made_anew(place):
    """REOPEN: at once, or as soon as the other one is there again."""
    place.up(A + B)
    expect('asked', place.ask('reopen', 'b'), 'ok')
    wait_for('connected', lambda: place.ask('reopened', 'b') == '1')
    os.kill(place.status('a')['pid'], signal.SIGKILL)
    place.ask('reopen', 'b')
    wait_for('connected', lambda: place.ask('reopened', 'b') == '2')
    expect('a server has no such key', place.ask('reopen', 'a'), 'failed')


def spinning_servers_starve_nobody(place):
    """More of them than CPUs, and the supervisor still answers."""
    names = [f's{n}' for n in range(os.cpu_count() + 1)]
    place.up(''.join(f'[model {name}]\ntype = test\nhang_ms = 60000\n'
                     for name in names))
    for name in names:
        try:
            place.ask('hang', name, timeout=0.05)
        except OSError:
            pass
    slowest = 0
    for _ in range(20):
        start = time.monotonic()
        place.control('status')
        slowest = max(slowest, time.monotonic() - start)
        time.sleep(0.02)
    if slowest > 1:
        raise Failed(f'a status took {slowest:.2f} s')
    place.ring3('restart', 's0')


def three_hundred_kills(place):
    place.up(A + B)
    times = []
    for number in range(1, 301):
        place.control('kill a KILL')
        times.append(place.control('up a')['took_us'])
        if number % 50 == 0:
            place.ask('count')
    unit = place.status('a')
    expect('restarts', unit['restarts'], 300)
    expect('b', place.status('b')['restarts'], 0)
    print(f'# kill to READY: median {statistics.median(times) / 1000:.1f} ms, '
          f'worst {max(times) / 1000:.1f} ms')
    supervisor = place.status()['pid']
    fds = len(os.listdir(f'/proc/{supervisor}/fd'))
    if fds > 60:
        raise Failed(f'the supervisor has {fds} fds: it leaks')


def crash_reports_are_bounded(place):
    place.up(A + 'limit = 1000\n')
    for number in range(1, 6):
        place.ask('segv')
        place.died('a', number)
    reports = sorted(glob.glob(f'{place.dir}/run/n/crash/*/report.json'))
    expect('reports', len(reports), 5)
    with open(reports[0]) as f:
        report = json.load(f)
    expect('server', report['server'], 'a')
    expect('signal', report['signal'], signal.SIGSEGV)
    expect('address', report['address'], '0x10')
    trace = ' '.join(report['trace'])
    for function in ('called+0x', 'r3_loop_run+0x', 'main+0x'):
        if function not in trace:
            raise Failed(f'{function} is not in the trace: {trace}')


def alive(pid):
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().split()[2] != 'Z'
    except OSError:
        return False


def the_servers_die_with_the_supervisor(place):
    place.up(A + B)
    status = place.status()
    pids = [unit['pid'] for unit in status['servers']]
    os.kill(status['pid'], signal.SIGKILL)
    for pid in pids:
        wait_for(f'{pid} gone', lambda: not alive(pid))
    place.up(A + B)     # and what is left of it is no obstacle
    expect('it answers', place.ask('pid'), '1')


def terminate_takes_it_down_in_order(place):
    place.up(A + B)
    supervisor = place.status()['pid']
    os.kill(supervisor, signal.SIGTERM)
    wait_for('gone', lambda: not alive(supervisor))
    expect('sockets left', glob.glob(f'{place.dir}/run/n/*.sock'), [])


def who_is_not_up_yet_ends_at_once(place):
    path = place.write('[node]\nname = n\n' + A + 'start = hang\n')
    with subprocess.Popen([RING3, 'up', '-q', path], env=place.env,
                          stderr=subprocess.DEVNULL) as up:
        wait_for('the node', lambda: os.path.exists(
            f'{place.dir}/run/n/control.sock'))
        expect('state', place.status('a')['state'], 'starting')
        start = time.monotonic()
        place.ring3('down', 'n')
        took = time.monotonic() - start
        up.wait(10)
    if took > 1.5:      # after 2 s it is killed
        raise Failed(f'took {took:.1f} s')


def a_log_is_bounded(place):
    place.up(A)
    for name in ('a', 'supervisor'):
        path = f'{place.dir}/run/n/log/{name}.log'
        with open(path, 'a') as f:
            f.write('x' * 79 + '\n')
            f.write(('y' * 79 + '\n') * 60000)
        wait_for('moved', lambda: os.path.exists(path + '.1') and
                 os.path.getsize(path) == 0)
        if os.path.getsize(path + '.1') > 8 * 1024 * 1024:
            raise Failed('the old one is too large')


def rubbish_on_the_control_socket(place):
    place.up(A)
    for line in ('', 'what', 'kill', 'kill x KILL', 'kill a WHAT', 'up',
                 'restart nobody', 'status\0x'):
        place.control(line)
    expect('it lives', place.status('a')['state'], 'up')


def silent_callers_lock_nobody_out(place):
    place.up(A)
    idle = []
    for _ in range(40):
        s = socket.socket(socket.AF_UNIX)
        s.connect(os.path.join(place.dir, 'run', 'n', 'control.sock'))
        s.sendall(b'stat')
        idle.append(s)
    expect('it answers', place.status('a')['state'], 'up')
    for s in idle:
        s.close()


def a_removed_run_directory_ends_the_node(place):
    place.up(A)
    pids = [place.status()['pid'], place.status('a')['pid']]
    shutil.rmtree(os.path.join(place.dir, 'run', 'n'))
    wait_for('the end of supervisor and server',
             lambda: not any(alive(p) for p in pids))


main([exit_is_told, a_fault_is_told, a_full_stack_is_told, abort_is_told,
      assert_is_told, signals_from_outside_are_kills, a_hang_is_found,
      a_stopped_server_does_not_hang, a_stopped_server_can_be_restarted,
      a_crash_loop_is_slowed_down_and_given_up, who_was_kept_survives,
      a_stopped_supervisor_hears_what_matters,
      a_stopped_supervisor_takes_nobody_for_hung,
      a_pause_of_all_takes_nobody_for_hung, of_many_ups_one_wins,
      one_that_is_ending_is_followed,
      nobody_waits_for_a_close, nothing_else_restarts, who_connects_while_it_is_dead_waits,
      a_connection_is_made_anew, spinning_servers_starve_nobody,
      three_hundred_kills, crash_reports_are_bounded,
      the_servers_die_with_the_supervisor, terminate_takes_it_down_in_order,
      who_is_not_up_yet_ends_at_once, a_log_is_bounded,
      rubbish_on_the_control_socket,
      silent_callers_lock_nobody_out, a_removed_run_directory_ends_the_node])
