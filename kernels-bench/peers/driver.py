"""The other side of `kernels bench --peers`: answers tasks, line by line. Only the work is timed.

A group's module `tasks` has one function `prepare(task)` that reads the arrays and returns the work, a function without
arguments, and the check, a function from the work's result to a few numbers.
"""

import json
import os
import resource
import sys
import time
import warnings

import tasks

warnings.filterwarnings("ignore")
real_stdout = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever a library prints goes elsewhere

prepared = {}


def run(task):
    if prepared.get("task") != task:
        prepared.clear()
        work, check = tasks.prepare(task)
        prepared.update(task=task, work=work, check=check)
    wall, cpu = time.perf_counter(), time.process_time()
    result = prepared["work"]()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    check = [float(v) for v in prepared["check"](result)]
    return dict(wall=wall, cpu=cpu, peak_memory=peak, check=check, error=None)


for line in sys.stdin:
    try:
        answer = run(json.loads(line))
    except Exception as error:  # the other side reports it
        answer = dict(wall=0.0, cpu=0.0, peak_memory=0, check=[], error=f"{type(error).__name__}: {error}")
    print(json.dumps(answer), file=real_stdout, flush=True)
