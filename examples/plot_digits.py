"""
Handwritten digits: which are mistaken for which
================================================

After this page you can find the mistakes of a classifier of many classes, and use its probabilities to find the
doubtful rows. :class:`skrelu.DeepLogisticClassifier` with its default parameters reads the digits of scikit-learn: ten
classes, 64 pixels. One picture shows which digits are mistaken for which, another the worst mistakes, each with the
probabilities of all ten digits.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrelu import DeepLogisticClassifier

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#A0A0A0"

# %%
# The fit
# -------
# Half of the 1797 images are for the fit, half for the test. A pixel has values from 0 to 16; some are 0 in all images,
# and a StandardScaler does not change these.

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    X, y, test_size=0.5, stratify=y, random_state=0
)
model = make_pipeline(StandardScaler(), DeepLogisticClassifier(random_state=0)).fit(
    X, y
)

probabilities = model.predict_proba(X_test)
predicted = probabilities.argmax(axis=1)  # the classes are the digits 0 to 9
is_wrong = predicted != y_test
print(
    f"{is_wrong.sum()} of {len(y_test)} wrong, "
    f"log-loss {log_loss(y_test, probabilities):.3f} nats"
)

# %%
# Which digit for which
# ---------------------
# The vertical axis is the digit that was written, the horizontal axis the digit that was read. Correct readings are on
# the diagonal. Their numbers are much larger than those of the mistakes, so only the mistakes are coloured.

matrix = np.zeros((10, 10), dtype=int)
np.add.at(matrix, (y_test, predicted), 1)
mistakes = matrix - np.diag(np.diag(matrix))

figure, panel = plt.subplots(figsize=(6.6, 6.4), layout="constrained")
display = ConfusionMatrixDisplay.from_predictions(
    y_test, predicted, ax=panel, colorbar=False, cmap="Oranges"
)
display.im_.set_data(mistakes)
display.im_.set_clim(0, 1.7 * mistakes.max())  # dark digits stay readable
for text, count in zip(display.text_.ravel(), matrix.ravel(), strict=True):
    text.set(text=str(count) if count else "", color="black", fontsize="large")
panel.set(
    xlabel="digit that was read",
    ylabel="digit that was written",
    title="Images of the test, the mistakes coloured",
)

# %%
# The worst mistakes
# ------------------
# These are the sixteen mistakes with the largest loss: the digit that was written got the lowest probability. Below
# each image are the probabilities of the digits 0 to 9. The bar of the digit written is blue, that of the digit read
# orange.

N_ROWS, N_COLUMNS = 4, 4
written = probabilities[np.arange(len(y_test)), y_test]
wrong = np.flatnonzero(is_wrong)
worst = wrong[np.argsort(written[wrong])][: N_ROWS * N_COLUMNS]

figure = plt.figure(figsize=(8, 10.4), layout="constrained")
panels = figure.subplots(
    2 * N_ROWS, N_COLUMNS, height_ratios=[2.2, 1] * N_ROWS, squeeze=False
)
for panel in panels.flat:
    panel.set_axis_off()
for index, image_panel, bar_panel in zip(
    worst, panels[::2].flat, panels[1::2].flat, strict=False
):
    image_panel.imshow(X_test[index].reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
    image_panel.set_title(
        f"{y_test[index]} read as {predicted[index]}", fontsize="medium"
    )
    colors = np.full(10, GREY, dtype=object)
    colors[y_test[index]], colors[predicted[index]] = BLUE, ORANGE
    bar_panel.set_axis_on()
    bar_panel.bar(range(10), probabilities[index], color=colors)
    bar_panel.set(ylim=(0, 1), xlim=(-0.6, 9.6))
    bar_panel.set_xticks(range(10))
    bar_panel.set_yticks([0, 1])
    bar_panel.tick_params(labelsize="small", length=2)
    bar_panel.spines[["top", "right"]].set_visible(False)
figure.supylabel("probability of each digit")
figure.legend(
    [Patch(color=BLUE), Patch(color=ORANGE)],
    ["digit that was written", "digit that was read"],
    loc="outside lower center",
    ncols=2,
)

# %%
# How sure it was
# ---------------
# The probabilities show which readings to check. Most mistakes are among the few images whose highest probability is
# low, and often the second most probable digit is right.

highest = probabilities.max(axis=1)
second = np.argsort(probabilities, axis=1)[:, -2]
least_sure = np.argsort(highest)[: len(y_test) // 10]
print(
    f"mean of the highest probability: {highest[~is_wrong].mean():.3f} where right, "
    f"{highest[is_wrong].mean():.3f} where wrong"
)
print(
    f"the second guess is right in {(second == y_test)[is_wrong].sum()} of "
    f"{is_wrong.sum()} mistakes"
)
print(
    f"{is_wrong[least_sure].sum()} of {is_wrong.sum()} mistakes are among the "
    "least sure tenth of the images"
)
assert is_wrong[least_sure].sum() > is_wrong.sum() / 2

# %%
# New writers
# -----------
# The split above is random, so the writer of a test image has probably written training images too. In the file,
# neighbouring images look alike, as if one person had written them. Fitted to the first half of the file and tested on
# the second half, the same classifier does worse:

digits = load_digits()
X, X_test, y, y_test = train_test_split(
    digits.data, digits.target, test_size=0.5, shuffle=False
)
probabilities = model.fit(X, y).predict_proba(X_test)
n_wrong = np.count_nonzero(probabilities.argmax(axis=1) != y_test)
print(
    f"{n_wrong} of {len(y_test)} wrong, "
    f"log-loss {log_loss(y_test, probabilities):.3f} nats"
)
assert n_wrong > is_wrong.sum()

# %%
# Which of the two tests is the right one depends on the writers to come. For digits of new people, all rows of one
# person belong to the same part, training or test. :class:`sklearn.model_selection.GroupShuffleSplit` does that if the
# table has the writer of each row; this table does not.

plt.show()
