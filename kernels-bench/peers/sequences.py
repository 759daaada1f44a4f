"""pySigLib on the tasks of the group `sequences`."""

import numpy as np


def prepare(task):
    import pysiglib
    import torch

    # Its own threads and those of PyTorch, in which it prepares paths: as many as ours.
    torch.set_num_threads(int(task["threads"]))
    x = np.ascontiguousarray(np.load(task["x"]))
    solver, threads = task["solver"], int(task["threads"])
    arguments = dict(n_jobs=threads)
    if solver == "polynomial":
        arguments.update(method="polynomial", order=task["order"])
    else:
        arguments.update(dyadic_order=task["dyadic"])
    if task["pair"]:
        work = lambda: pysiglib.sig_kernel(x[:1], x[1:2], **arguments)
        return work, lambda k: np.ravel(k)[:1]
    work = lambda: pysiglib.sig_kernel_gram(x, x, **arguments)
    return work, lambda k: [k[0, 1], k[5, 3], k[:, 0].sum(), k[-1].sum()]
