"""goodpoints, scipy, scikit-learn, KDEpy, stein-thinning and numpy on the tasks of the group `sample`."""

import numpy as np


def mmd(x, coreset, variance):
    """MMD between the rows of x and some of them, in pieces."""
    w = np.full(len(x), 1.0 / len(x))
    np.subtract.at(w, coreset, 1.0 / len(coreset))
    total = 0.0
    for start in range(0, len(x), 1024):
        part = x[start : start + 1024]
        square = ((part**2).sum(1)[:, None] + (x**2).sum(1)[None, :] - 2 * part @ x.T).clip(0)
        total += w[start : start + 1024] @ np.exp(-square / (2 * variance)) @ w
    return [np.sqrt(max(total, 0.0))]


def summary(f):
    return list(f[:5]) + [f.mean()]


def prepare(task):
    name, h, variance, k = task["task"], task["bandwidth"], float(task["variance"]), task["k"]
    x, at = np.load(task["x"]), np.load(task["at"])
    if name.startswith("kt_"):
        from goodpoints import kt

        rounds = int(np.log2(len(x))) // 2
        # The one of its forms that runs at all sizes: rows of the kernel are computed when needed.
        def kernel(y, x):
            return np.exp(-((x - y) ** 2).sum(1) / (2 * variance))

        if len(x) <= 1 << 14:
            def work():
                square = ((x**2).sum(1)[:, None] + (x**2).sum(1)[None, :] - 2 * x @ x.T).clip(0)
                gram = np.exp(-square / (2 * variance))
                return kt.thin_K(gram, gram, rounds, delta=0.5, seed=1, unique=True)
        else:
            def work():
                return kt.thin(x, rounds, kernel, kernel, delta=0.5, seed=1, unique=True)
        return work, lambda c: mmd(x, c, variance)
    if name.startswith("compress_"):
        from goodpoints import compress

        return (
            lambda: compress.compresspp_kt(x, b"gaussian", k_params=np.array([2 * variance]), g=4, seed=1),
            lambda c: mmd(x, c, variance),
        )
    if name == "kde_direct":
        from scipy.stats import gaussian_kde

        def work():
            kde = gaussian_kde(x.T)
            # A fixed covariance h² I instead of a multiple of the sample's.
            kde.covariance = h * h * np.eye(x.shape[1])
            kde.inv_cov = np.eye(x.shape[1]) / (h * h)
            kde.cho_cov = h * np.eye(x.shape[1])
            kde.log_det = 2 * x.shape[1] * np.log(h * np.sqrt(2 * np.pi))
            return kde(at.T)

        return work, summary
    if name == "kde_tree":
        from sklearn.neighbors import KernelDensity

        return lambda: np.exp(KernelDensity(bandwidth=h, rtol=1e-4).fit(x).score_samples(at)), summary
    if name == "kde_grid":
        from KDEpy import FFTKDE

        nodes = task["nodes"]
        axis = np.linspace(-7, 7, nodes)
        grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
        middle = nodes // 2 * nodes + nodes // 2
        work = lambda: FFTKDE(kernel="gaussian", bw=h).fit(x).evaluate(grid)
        return work, lambda f: [f[middle], f[middle + nodes * 50 + 20], f.max()]
    if name == "mean_shift":
        from sklearn.cluster import MeanShift

        return lambda: MeanShift(bandwidth=1.0).fit(x), lambda m: [len(m.cluster_centers_), m.cluster_centers_[0, 0]]
    if name == "dpp_map":
        def work():
            gains, d2, columns = [], np.ones(len(x)), np.zeros((k, len(x)))
            for t in range(k):
                j = int(np.argmax(d2))
                gains.append(np.log(d2[j]))
                row = np.exp(-((x - x[j]) ** 2).sum(1) / (2 * variance))
                column = (row - columns[:t, j] @ columns[:t]) / np.sqrt(d2[j])
                columns[t] = column
                d2 -= column**2
                d2[j] = -np.inf
            return gains

        return work, lambda gains: [gains[1], gains[min(len(gains), 50) - 1]]
    if name == "stein_thinning":
        from stein_thinning.thinning import thin

        return lambda: thin(x, -x, k, preconditioner="id"), lambda picked: list(picked[:5])
    raise ValueError(f"there is no task {name}")
