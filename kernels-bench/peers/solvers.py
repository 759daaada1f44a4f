"""scikit-learn on the tasks of the group `solvers`."""

import numpy as np


def rmse(model, task):
    x, y = np.load(task["test_x"]), np.load(task["test_y"]).ravel()
    return float(np.sqrt(((model(x) - y) ** 2).mean()))


def prepare(task):
    name, gamma = task["task"], task["gamma"]
    x, y = np.load(task["x"]), np.load(task["y"]).ravel()
    if name.startswith("falkon"):
        from sklearn.kernel_approximation import Nystroem
        from sklearn.linear_model import Ridge

        centers = np.load(task["centers"]).astype(int).ravel()

        def work():
            # The same points as ours: all that it is given to choose from.
            features = Nystroem(gamma=gamma, n_components=len(centers), random_state=0).fit(x[centers])
            ridge = Ridge(alpha=task["ridge"], fit_intercept=False).fit(features.transform(x), y)
            return lambda at: ridge.predict(features.transform(at))

        return work, lambda model: [rmse(model, task)]
    if name.startswith("krr"):
        from sklearn.kernel_ridge import KernelRidge

        work = lambda: KernelRidge(alpha=task["ridge"], kernel="rbf", gamma=gamma).fit(x, y).predict
        return work, lambda model: list(model(np.load(task["test_x"])[:5])) + [rmse(model, task)]
    if name.startswith("svm"):
        from sklearn.svm import SVC

        def objective(model):
            beta, at = model.dual_coef_.ravel(), model.support_vectors_
            total = 0.0
            for start in range(0, len(at), 1024):
                part = at[start : start + 1024]
                square = ((part**2).sum(1)[:, None] + (at**2).sum(1)[None, :] - 2 * part @ at.T).clip(0)
                total += beta[start : start + 1024] @ np.exp(-gamma * square) @ beta
            return [0.5 * total - np.abs(beta).sum()]

        # Half a gigabyte of cache, as ours: its own default is 200 MB.
        work = lambda: SVC(C=task["cost"], gamma=gamma, tol=1e-3, cache_size=512).fit(x, np.sign(y))
        return work, objective
    raise ValueError(f"there is no task {name}")
