"""scikit-learn and scipy on the tasks of the group `features`."""

import numpy as np


def prepare(task):
    name, x = task["task"], np.load(task["x"])
    if name in ("rff_f64", "rff_f32"):
        from sklearn.kernel_approximation import RBFSampler

        gamma = 0.5 / task["length_scale"] ** 2
        sampler = RBFSampler(gamma=gamma, n_components=task["features"], random_state=5).fit(x)
        return lambda: sampler.transform(x), lambda z: [float(z[i] @ z[j]) for i, j in [(0, 0), (0, 1), (2, 3), (4, 5)]]
    if name == "matern_gram":
        from sklearn.gaussian_process.kernels import Matern

        kernel = Matern(task["length_scale"], nu=2.5)
        return lambda: kernel(x), lambda k: [k[0, 1], k[5, 3], k[:, 0].sum()]
    if name == "wendland_sparse":
        from scipy.sparse import coo_array
        from scipy.spatial import cKDTree

        support, n = task["support"], len(x)

        def work():
            tree = cKDTree(x)
            pairs = tree.query_pairs(support, output_type="ndarray")
            i, j = pairs[:, 0], pairs[:, 1]
            r = np.sqrt(((x[i] - x[j]) ** 2).sum(axis=1)) / support
            values = (1 - r) ** 4 * (1 + 4 * r)
            every = np.arange(n)
            rows, columns = np.concatenate([i, j, every]), np.concatenate([j, i, every])
            return coo_array((np.concatenate([values, values, np.ones(n)]), (rows, columns)), shape=(n, n)).tocsr()

        return work, lambda k: [k.nnz, k.sum(), k[[0]].sum()]
    raise ValueError(f"there is no task {name}")
