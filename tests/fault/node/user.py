# SPDX-License-Identifier: GPL-2.0-or-later
"""An ordinary user's node: the same sandbox without any right of root."""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

if os.geteuid() == 0:
    # The build's folder may be closed to others: take along what is needed.
    import tempfile
    folder = tempfile.mkdtemp(prefix='r3u.')
    os.chmod(folder, 0o755)
    try:
        build = os.environ['MESON_BUILD_ROOT']
        os.mkdir(f'{folder}/meson-info')
        for path in (os.environ['R3_TEST_RING3'], os.environ['R3_TEST_SERVER'],
                     f'{build}/ring3-supervisor', f'{HERE}/sandbox.py',
                     f'{HERE}/restart.py', f'{HERE}/user.py',
                     os.environ['PYTHONPATH'] + '/nodelib.py'):
            shutil.copy(path, folder)
        shutil.copy(f'{build}/meson-info/intro-buildoptions.json',
                    f'{folder}/meson-info')
        os.mkdir(f'{folder}/tmp')
        os.chmod(f'{folder}/tmp', 0o777)
        env = {'PATH': '/usr/bin:/bin', 'MESON_BUILD_ROOT': folder,
               'PYTHONPATH': folder, 'TMPDIR': f'{folder}/tmp',
               'PYTHONDONTWRITEBYTECODE': '1',
               'R3_TEST_RING3': f'{folder}/ring3-test',
               'R3_TEST_SERVER': f'{folder}/ring3-test-server'}
        for test in ('sandbox.py', 'restart.py'):
            done = subprocess.run(['/usr/bin/python3', f'{folder}/{test}'],
                                  user=65533, group=65533, extra_groups=[],
                                  env=env, cwd=folder)
            if done.returncode not in (0, 77):
                sys.exit(1)
    finally:
        shutil.rmtree(folder)
    sys.exit(0)
print('SKIP: as an ordinary user the other tests already show it')
sys.exit(77)
