"""Check the gradient by hand: equations (a) and (b), one sample at a time, against `skrelu.loss_and_gradient`.

With z_0 = x, z_l = relu(W_l z_{l-1} + b_l), the score f = W_L z_{L-1} + b_L, y in {-1, +1} and
r = -y / (1 + exp(y f)), the derivatives of log(1 + exp(-y f)) are

    (a)  by b_l:  r P_l^T            with  P_l = W_L diag(z_{L-1} > 0) W_{L-1} ... W_{l+1} diag(z_l > 0),
    (b)  by W_l:  r P_l^T z_{l-1}^T  and   P_L = 1.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale

from skrelu import DeepLogisticClassifier, loss_and_gradient


def main() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X, signs = scale(X), np.where(y == 1, 1, -1)
    model = DeepLogisticClassifier((6, 4), alpha=1.0, random_state=0).fit(X, y)
    loss, coef_grads, intercept_grads = loss_and_gradient(model.coefs_, model.intercepts_, X, y)

    W, b = [coef.T for coef in model.coefs_], model.intercepts_
    expected_loss = 0.0
    by_W, by_b = [np.zeros_like(w) for w in W], [np.zeros_like(v) for v in b]
    for x, sign in zip(X, signs, strict=True):
        z = [x]
        for w, v in zip(W[:-1], b[:-1], strict=True):
            z.append(np.maximum(w @ z[-1] + v, 0))
        f = (W[-1] @ z[-1] + b[-1])[0]
        expected_loss += np.logaddexp(0, -sign * f)
        P = np.eye(1)
        r = -sign / (1 + np.exp(sign * f))
        for l in reversed(range(len(W))):
            by_b[l] += r * P[0]
            by_W[l] += r * np.outer(P[0], z[l])
            P = P @ W[l] @ np.diag((z[l] > 0).astype(float))

    print(f"loss            {loss:.12f}  by hand {expected_loss:.12f}")
    for l in range(len(W)):
        error_W = np.abs(coef_grads[l].T - by_W[l]).max() / np.abs(by_W[l]).max()
        error_b = np.abs(intercept_grads[l] - by_b[l]).max() / np.abs(by_b[l]).max()
        print(f"layer {l + 1}: largest relative error (a) {error_b:.1e}  (b) {error_W:.1e}")
        assert max(error_W, error_b) < 1e-9


if __name__ == "__main__":
    main()
