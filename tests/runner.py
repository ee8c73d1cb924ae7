#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Build ring3 twice and run every test: what ./check does.

    ./check [--long] [--fast] [-j N] [NAME...]

The tests are meson's, in suites: unit, interop (real peers), fault (kills and
hostile input), fuzz, lab (real kernels in QEMU) and long (only with --long,
which also fuzzes for longer).  build/ is made by gcc; build-asan/ by clang with
the address and undefined-behaviour sanitizers, and there the suites unit and
fuzz run again; warnings are errors in both.  --fast leaves build-asan/ out.
NAME: only tests whose "suite/name" contains it.

A test program's exit code is 0, 77 for skipped (its last line is "SKIP: why"),
or a failure.  Where it prints TAP (cmocka does), its single cases are counted.
"""
import argparse
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SUITES = ['unit', 'interop', 'fault', 'fuzz', 'lab', 'long']
SANITIZED = ['unit', 'fuzz']    # the suites that run in build-asan/ too
TAIL_LINES = 60
# Limits are for an idle machine; sanitizers and neighbours cost more.
SLACK = {'build': 2, 'build-asan': 4}
NO_LIMIT_S = 600                # for a test that states none

BUILDS = {
    'build': (['gcc'], []),
    'build-asan': (['clang'], ['-Db_sanitize=address,undefined',
                               '-Db_lundef=false', '-Dfuzzers=true']),
}


class Tally:
    def __init__(self):
        self.passed, self.failed, self.skips = 0, 0, []
        self.times = []

    def last_line(self):
        return (f'{self.passed} passed, {self.failed} failed, '
                f'{len(self.skips)} skipped')


def say(text):
    print(text, flush=True)


def show_tail(output):
    lines = output.splitlines()
    if len(lines) > TAIL_LINES:
        # What failed may stand far above a report of leaks.
        for at, line in enumerate(lines[:-TAIL_LINES]):
            if re.match(r'not ok \d|FAILED:', line):
                for more in lines[at:at + 4]:
                    say(f'    | {more}')
        say('    | ...')
    for line in lines[-TAIL_LINES:]:
        say(f'    | {line}')


def run(command, limit_s=None, **more):
    """Run to the end or the limit; return (exit code or None, output)."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT,
                               start_new_session=True, **more)
    try:
        output, _ = process.communicate(timeout=limit_s)
        code = process.returncode
    except subprocess.TimeoutExpired:
        code = None
        os.killpg(process.pid, signal.SIGTERM)
        try:
            output, _ = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return code, output.decode(errors='replace')


def build(folder, jobs, tally):
    """Configure and compile a build folder; one case of the tally."""
    compiler, options = BUILDS[folder]
    path = os.path.join(TREE, folder)
    start = time.monotonic()
    env = dict(os.environ, CC=compiler[0])
    setup = ['meson', 'setup', *options]
    if os.path.exists(os.path.join(path, 'build.ninja')):
        setup.append('--reconfigure')
    code, output = run([*setup, path, TREE], env=env)
    if code == 0:
        code, output = run(['ninja', '-C', path, f'-j{jobs}'], env=env)
    took = time.monotonic() - start
    if code == 0:
        tally.passed += 1
        say(f'ok    {folder} ({compiler[0]}, no warnings)  {took:.1f} s')
    else:
        tally.failed += 1
        say(f'FAIL  {folder} ({compiler[0]})')
        show_tail(output)
    return code == 0


class Test:
    def __init__(self, folder, entry):
        self.folder = folder
        suites = [s.split(':')[-1] for s in entry['suite']]
        self.suite = next((s for s in suites if s in SUITES), 'unit')
        self.name = f'{self.suite}/{entry["name"]}'
        self.label = self.name + (' (asan)' if folder != 'build' else '')
        self.command = entry['cmd']
        self.env = entry['env']
        self.workdir = entry['workdir'] or os.path.join(TREE, folder)
        self.limit_s = (entry['timeout'] or NO_LIMIT_S) * SLACK[folder]
        self.parallel = entry['is_parallel']


def tests_of(folder):
    shown = subprocess.run(['meson', 'introspect', '--tests', folder],
                           cwd=TREE, stdout=subprocess.PIPE, check=True)
    return [Test(folder, entry) for entry in json.loads(shown.stdout)]


def sanitized(test):
    """Of the second build: the suites named, where they run what it made."""
    made = os.path.join(TREE, test.folder)
    paths = [os.path.normpath(os.path.join(made, arg)) for arg in test.command]
    return test.suite in SANITIZED and \
        any(p.startswith(made + os.sep) and os.path.isfile(p) for p in paths)


def choose(tests, o):
    for test in tests:
        if test.suite == 'long' and not o.long:
            continue
        if test.folder != 'build' and not sanitized(test):
            continue
        if o.name and not any(name in test.name for name in o.name):
            continue
        yield test


def environment(test, o):
    env = dict(os.environ, **test.env)
    env.update(
        CMOCKA_MESSAGE_OUTPUT='TAP',
        R3_CACHE=os.path.abspath(os.environ.get('R3_CACHE') or
                                 os.path.join(TREE, 'cache')),
        R3_FUZZ_S='120' if o.long else '6',
        ASAN_OPTIONS='abort_on_error=0:detect_stack_use_after_return=1',
        UBSAN_OPTIONS='halt_on_error=1:print_stacktrace=1')
    return env


def cases(output):
    """Count TAP cases: (passed, failed, reasons of skips, planned)."""
    passed, failed, skips, planned = 0, 0, [], 0
    for line in output.splitlines():
        plan = re.match(r'1\.\.(\d+)\b', line)
        case = re.match(r'(not )?ok \d+(?: -)? ?(.*)', line)
        if plan:
            planned += int(plan.group(1))
        elif case and re.search(r'# *skip', case.group(2), re.I):
            skips.append(case.group(2))
        elif case and case.group(1):
            failed += 1
        elif case:
            passed += 1
    return passed, failed, skips, planned


def judge(code, output):
    """Return (passed, failed, reasons of skips, what went wrong or '')."""
    if code == 77:
        lines = output.strip().splitlines() or ['']
        if lines[-1].startswith('SKIP:'):
            return 0, 0, [lines[-1][5:].strip()], ''
        return 0, 1, [], 'skipped without a last line "SKIP: why"'
    passed, failed, skips, planned = cases(output)
    if code is None:
        return passed, failed + 1, skips, 'over its time limit'
    if code != 0:
        wrong = f'exit code {code}' if code > 0 else \
            f'died of {signal.Signals(-code).name}'
        return passed, failed or 1, skips, wrong
    if failed:
        return passed, failed, skips, f'{failed} cases'
    if planned != passed + len(skips):
        wrong = f'planned {planned} cases, ran {passed + len(skips)}'
        return passed, 1, skips, wrong
    return passed or (0 if skips else 1), 0, skips, ''


def run_test(test, o):
    start = time.monotonic()
    code, output = run(test.command, test.limit_s, cwd=test.workdir,
                       env=environment(test, o))
    return test, time.monotonic() - start, output, judge(code, output)


def report(result, tally):
    test, took, output, (passed, failed, skips, wrong) = result
    tally.passed += passed
    tally.failed += failed
    tally.skips += [(test.label, why) for why in skips]
    tally.times.append((took, test.label))
    if failed:
        say(f'FAIL  {test.label}: {wrong}  {took:.1f} s')
        show_tail(output)
    elif passed:
        count = f' {passed} cases ' if passed > 1 else ''
        say(f'ok    {test.label} {count} {took:.1f} s')
    for why in skips:
        say(f'skip  {test.label}: {why}')


def run_tests(tests, o, tally):
    """Suite by suite: what may run in parallel, then the rest one by one."""
    for suite in SUITES:
        mine = [t for t in tests if t.suite == suite]
        # The longest first, so that no processor is idle at the end.
        mine.sort(key=lambda t: -t.limit_s)
        with concurrent.futures.ThreadPoolExecutor(o.j) as pool:
            waiting = [pool.submit(run_test, t, o) for t in mine if t.parallel]
            for done in concurrent.futures.as_completed(waiting):
                report(done.result(), tally)
        for test in mine:
            if not test.parallel:
                report(run_test(test, o), tally)


def options():
    p = argparse.ArgumentParser(
        prog='check', usage='./check [--long] [--fast] [-j N] [NAME...]',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--long', action='store_true')
    p.add_argument('--fast', action='store_true')
    p.add_argument('-j', type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument('name', nargs='*')
    return p.parse_args()


def main():
    o = options()
    os.umask(0o022)     # other users run some of what is built
    tally = Tally()
    start = time.monotonic()
    # The lab's kernels come in while the compilers run.
    kernels = subprocess.Popen(
        [os.path.join(TREE, 'tools/kernel'), '6.1', '6.12'],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    tests = []
    for folder in BUILDS:
        if folder == 'build' or not o.fast:
            if build(folder, o.j, tally):
                tests += tests_of(folder)
    kernels.wait()
    chosen = list(choose(tests, o))
    run_tests(chosen, o, tally)

    say('')
    if not chosen:
        tally.failed += 1
        say('no test ran')
    for label, why in tally.skips:
        say(f'skipped: {label}: {why}')
    slow = [f'{label} {took:.0f} s'
            for took, label in sorted(tally.times, reverse=True)[:5]]
    say(f'slowest: {", ".join(slow)}')
    say(f'took {time.monotonic() - start:.0f} s')
    say(tally.last_line())
    return 1 if tally.failed else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
