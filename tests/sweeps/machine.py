"""`python machine.py CHANGES [overrides]`: `kerasdl.train` with changes, given as JSON.

machine       this process's name among machines, so that several processes of one host are several machines
stop_seconds  how long a trial that was asked to stop may take
"""

import json
import sys

if __name__ == "__main__":
    changes = json.loads(sys.argv.pop(1))
    from kerasdl.sweeps import liveness
    from kerasdl.sweeps.executors import local

    if name := changes.get("machine"):
        liveness.machine = lambda: name
    local.STOP_SECONDS = changes.get("stop_seconds", local.STOP_SECONDS)
    from kerasdl.train import main

    main()
