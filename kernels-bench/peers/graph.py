"""fast-graph-gp, GraKeL and scipy on the tasks of the group `graph`."""

import numpy as np
import scipy.sparse as sp


def adjacency(task):
    indptr, indices = np.load(task["indptr"]).astype(np.int64), np.load(task["indices"]).astype(np.int64)
    n = len(indptr) - 1
    return sp.csr_matrix((np.ones(len(indices)), indices, indptr), shape=(n, n))


def symmetric(a):
    root = sp.diags(1 / np.sqrt(np.asarray(a.sum(1)).ravel()))
    return (root @ a @ root).tocsr()


def graphs(task):
    """What GraKeL reads: edges in both directions, and labels."""
    edges, labels = np.load(task["edges"]).astype(int), np.load(task["labels"]).astype(int)
    out = []
    for g in range(labels[-1, 0] + 1):
        own = edges[edges[:, 0] == g][:, 1:]
        both = {(int(u), int(v)): 1.0 for u, v in own} | {(int(v), int(u)): 1.0 for u, v in own}
        out.append([both, dict(enumerate(int(l) for l in labels[labels[:, 0] == g][:, 1]))])
    return out


def corners(k):
    return [k[0, 1], k[5, 3], np.trace(k), k.sum()]


def prepare(task):
    name = task["task"]
    if name == "graph_features":
        import torch
        from grf_gp.sampler import GRFSampler

        s = symmetric(adjacency(task))
        base = torch.sparse_csr_tensor(
            torch.from_numpy(s.indptr.astype(np.int64)),
            torch.from_numpy(s.indices.astype(np.int64)),
            torch.from_numpy(s.data),
            size=s.shape,
        )
        f = task["modulation"]

        def work():
            steps = GRFSampler(
                base, task["walks"], task["halting"], max_walk_length=len(f), seed=1, use_tqdm=False
            )()
            total = None
            for weight, step in zip(f, steps):
                m = step.sparse_csr_tensor
                own = sp.csr_matrix(
                    (weight * m.values().numpy(), m.col_indices().numpy(), m.crow_indices().numpy()), shape=s.shape
                )
                total = own if total is None else total + own
            return total

        return work, lambda m: [m.nnz, m.sum() / m.shape[0]]
    if name in ("wl", "shortest_path", "random_walk", "random_walk_geometric"):
        import grakel

        data = graphs(task)
        # GraKeL's faster form of the exponential kernel does not run with numpy 2.
        make = {
            "wl": lambda: grakel.WeisfeilerLehman(n_iter=5, base_graph_kernel=grakel.VertexHistogram),
            "shortest_path": lambda: grakel.ShortestPath(algorithm_type="auto"),
            "random_walk": lambda: grakel.RandomWalk(kernel_type="exponential", lamda=0.01, method_type="baseline"),
            "random_walk_geometric": lambda: grakel.RandomWalk(kernel_type="geometric", lamda=0.001),
        }[name]
        return lambda: make().fit_transform(data), corners
    a = adjacency(task)
    if name == "diffusion":
        from scipy.linalg import expm

        lap = np.eye(a.shape[0]) - symmetric(a).toarray()
        return lambda: expm(-lap), corners
    if name == "heat_action":
        from scipy.sparse.linalg import expm_multiply

        lap = (sp.diags(np.asarray(a.sum(1)).ravel()) - a).tocsr()
        v = np.load(task["v"])
        trace = -lap.diagonal().sum()
        return lambda: expm_multiply(-lap, v, traceA=trace), lambda x: [x[0], x[1], x[7], abs(x).sum()]
    raise ValueError(f"there is no task {name}")
