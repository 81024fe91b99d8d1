"""`python machine.py CHANGES [overrides]`: `kerasdl.train`, changed a little; CHANGES are JSON.

machine       the name that this process goes by among machines: several of them on one host are then several machines
stop_seconds  how long a trial that was asked to stop may take
"""

import json
import sys

if __name__ == "__main__":
    changes = json.loads(sys.argv.pop(1))
    from kerasdl.sweeps import owner, processes

    if name := changes.get("machine"):
        owner.machine = lambda: name
    processes.STOP_SECONDS = changes.get("stop_seconds", processes.STOP_SECONDS)
    from kerasdl.train import main

    main()
