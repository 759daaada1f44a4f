"""neural-tangents on the processor on the tasks of the group `ntk`."""

import os

os.environ["JAX_ENABLE_X64"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"

import numpy as np


def prepare(task):
    import jax
    import neural_tangents as nt
    from neural_tangents import stax

    name = task["task"]
    x = np.load(task["x"])
    if name.startswith("cnn_gap"):
        x = x.reshape(-1, task["side"], task["side"], 3)
        conv = lambda: stax.Conv(1, (3, 3), padding="SAME", W_std=1.4, b_std=0.1)
        layers = [conv(), stax.Relu(), conv(), stax.Relu(), stax.GlobalAvgPool(), stax.Dense(1, W_std=1.4, b_std=0.1)]
    elif name == "empirical_mlp":
        dense = lambda n: stax.Dense(n, W_std=1.4, b_std=0.1)
        init, apply, _ = stax.serial(dense(512), stax.Relu(), dense(512), stax.Relu(), dense(10))
        _, params = init(jax.random.PRNGKey(0), x.shape)
        # The layers with weights are those whose parameters are not empty; both sides have the same.
        files = iter(task["weights"])
        same = lambda p: tuple(np.load(f).reshape(a.shape) for f, a in zip(next(files), p))
        params = [same(p) if len(p) else p for p in params]
        kernel = jax.jit(nt.empirical_ntk_fn(apply, trace_axes=()))
        check = lambda k: [k[0, 1, 0, 0], k[5, 3, 2, 1], k[2, 2, 9, 9], k[:, 0, 0, 0].sum()]
        return lambda: np.asarray(kernel(x, None, params)), check
    else:
        activation = {
            "relu_ntk": stax.Relu,
            "erf_ntk": stax.Erf,
            "tanh_ntk": lambda: stax.ElementwiseNumerical(jax.numpy.tanh, deg=25),
        }[name]
        dense = lambda: stax.Dense(1, W_std=1.4, b_std=0.1)
        layers = [dense(), activation(), dense(), activation(), dense(), activation(), dense()]
    kernel = jax.jit(stax.serial(*layers)[2], static_argnums=(2,))
    work = lambda: np.asarray(kernel(x, None, "ntk"))
    return work, lambda k: [k[0, 1], k[5, 3], k[2, 2], k[:, 0].sum()]
