"""Robustness as pictures: curves over the budget, a map of the corruptions, and the images themselves.

Drawn with matplotlib's objects (`Figure`), not with pyplot: no global state, no display, any thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerasdl.channels import opaque
from kerasdl.figures.panels import LINE, canvas, enlargement, fitted, panel, show_image, write
from kerasdl.robustness.scores import LABELS, AttackScore, CorruptionScore, Robustness
from kerasdl.robustness.tables import described, widest

if TYPE_CHECKING:
    from kerasdl.robustness.measuring import Examples, Outcome

ATTACK_COLORS = {"fgsm": "#3b6ea8", "pgd": "#d1702f"}
BUDGETS = {"linf": "largest change of a pixel", "l2": "Euclidean length of the change"}
WRONG_COLOR = "#b3261e"
_SIDE, _GAP = 64, 6  # of an image in the sheet of examples, and between two, in pixels


@dataclass(frozen=True)
class Strip:
    """The same few images, attacked or corrupted in one way: a row of the sheet.

    Attributes:
        title: the treatment: `clean`, `PGD L-inf 0.2`, `fog 3`.
        accuracy: of all examples of this row, in [0, 1].
        images: uint8 (k, h, w, 1 or 3).
        predicted: k class names.
        correct: bool (k,).
    """

    title: str
    accuracy: float
    images: np.ndarray
    predicted: Sequence[str]
    correct: np.ndarray


def strips(
    examples: "Examples",
    attacked: "Sequence[tuple[AttackScore, Outcome]]",
    corrupted: "Sequence[tuple[CorruptionScore, Outcome]]",
    class_names: Sequence[str],
) -> list[Strip]:
    """Returns what a sheet shows: the examples as they are, at each attack's middle budget, at a middle severity."""
    chosen = [("clean", examples.clean)]
    for kind in dict.fromkeys((score.attack, score.norm) for score, _ in attacked):
        own = [(score.label, outcome) for score, outcome in attacked if (score.attack, score.norm) == kind]
        chosen.append(own[len(own) // 2])
    for name in dict.fromkeys(score.corruption for score, _ in corrupted):
        own = [(score.label, outcome) for score, outcome in corrupted if score.corruption == name]
        chosen.append(own[len(own) // 2])
    truth = examples.labels[examples.shown]
    return [
        Strip(
            title,
            outcome.score.accuracy,
            outcome.images,
            ["NaN" if index < 0 else class_names[index] for index in outcome.predicted],
            outcome.predicted == truth,
        )
        for title, outcome in chosen
    ]


def attack_curves(found: Robustness) -> Figure:
    """Draws accuracy over the budget: a panel for each norm, a curve for each attack, bands for the 95 % intervals.

    Args:
        found: with at least one attack. All curves begin at budget 0, with the clean accuracy.
    """
    norms = list(dict.fromkeys(own.norm for own in found.attacks))
    figure = Figure(figsize=(5.0 * len(norms), 4.0), dpi=120, layout="constrained")
    for axes, norm in zip(figure.subplots(1, len(norms), sharey=True, squeeze=False)[0], norms, strict=True):
        for name in dict.fromkeys(own.attack for own in found.attacks if own.norm == norm):
            own = sorted(
                (one for one in found.attacks if (one.attack, one.norm) == (name, norm) and one.epsilon > 0),
                key=lambda one: one.epsilon,
            )
            scores = [found.clean, *(one.score for one in own)]
            budgets = [0.0, *(one.epsilon for one in own)]
            low, high = (100 * np.array(ends) for ends in zip(*(score.interval for score in scores), strict=True))
            axes.fill_between(budgets, low, high, color=ATTACK_COLORS[name], alpha=0.18, linewidth=0)
            axes.plot(
                budgets, [100 * score.accuracy for score in scores], "o-",
                color=ATTACK_COLORS[name], markersize=4, label=described(own[-1]),
            )  # fmt: skip
        axes.set_title(LABELS[norm], loc="left", fontsize=11)
        axes.set_xlabel(f"{BUDGETS[norm]} (black is 0, white is 1)")
        axes.set_ylim(0, 100)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.axes[0].set_ylabel("accuracy in %, with 95 % intervals")
    figure.suptitle(_title(found), x=0.01, ha="left", fontsize=11)
    return figure


def corruption_map(found: Robustness) -> Figure:
    """Draws a table of the accuracy under each corruption at each severity, and of the means, as colours and numbers.

    Args:
        found: with at least one corruption, each at the same severities.
    """
    means = found.corruption_means
    names, columns = [*means, "mean"], [*map(str, found.severities), "mean"]
    rows = [[own.score.accuracy for own in found.of_corruption(name)] + [mean] for name, mean in means.items()]
    rows.append([*found.severity_means.values(), found.corruption_mean])
    shares = 100 * np.array(rows)
    figure = Figure(figsize=(2.9 + 0.75 * len(columns), 1.7 + 0.33 * len(names)), dpi=120, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    figure.colorbar(image, ax=axes, label="accuracy in %", shrink=0.8)
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 55 else "0.25"
        axes.text(column, row, f"{share:.1f}", ha="center", va="center", color=color, fontsize=8)
    # The means are no further corruption and no further severity.
    axes.axhline(len(means) - 0.5, color="white", linewidth=3)
    axes.axvline(len(columns) - 1.5, color="white", linewidth=3)
    axes.set_xticks(range(len(columns)), columns, fontsize=9)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=9)
    axes.set_xlabel(f"severity (95 % intervals: {widest(found)})", fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.suptitle(_title(found), x=0.01, ha="left", fontsize=10)
    return figure


def example_sheet(strips: Sequence[Strip], subject: str) -> Figure:
    """Draws a few images under every treatment, with the predicted class below each, bold and red where it is wrong.

    Args:
        strips: at least one; all of the same images in the same order. More than twelve are drawn in two columns.
        subject: the title.
    """
    rows = [_side_by_side(strip.images) for strip in strips]
    height, width = rows[0].shape[0], rows[0].shape[1] // len(strips[0].images)
    columns = 1 if len(strips) <= 12 else 2
    depth = -(-len(strips) // columns)
    margin = 16 + int(6.6 * max(len(strip.title) for strip in strips))
    column = margin + rows[0].shape[1] + 10
    head, line = 2 * LINE + 6, height + LINE + 6
    figure = canvas(columns * column, head + depth * line + 4)
    write(figure, 8, 8, fitted(subject, columns * column - 16, 11), fontsize=11)
    for place, (strip, row) in enumerate(zip(strips, rows, strict=True)):
        left, top = place // depth * column, head + place % depth * line
        write(figure, left + 8, top + height / 2 - LINE, strip.title, fontweight="bold", fontsize=8)
        write(figure, left + 8, top + height / 2, f"{100 * strip.accuracy:.1f} %", fontsize=8, color="0.35")
        show_image(panel(figure, left + margin, top, row.shape[1], height), row)
        for number, name in enumerate(strip.predicted):
            middle = left + margin + (number + 0.5) * width - _GAP / 2
            color = "0.35" if strip.correct[number] else WRONG_COLOR
            weight = "normal" if strip.correct[number] else "bold"
            label = fitted(name, width, 8)
            write(figure, middle, top + height + 1, label, ha="center", fontsize=8, color=color, fontweight=weight)
    return figure


def _side_by_side(images: np.ndarray) -> np.ndarray:
    """Returns images uint8 (k, h, w, 1, 3 or 4), brought to about `_SIDE`, as one picture: panels would be slow.

    Each has a grey frame, for some treatments leave it as white at its edge as the paper is.
    """
    images = opaque(images)
    shrink = max(1, round(max(images.shape[1:3]) / _SIDE))
    if shrink > 1:
        images = np.stack([_shrunk(image, shrink) for image in images])
    scale = enlargement(images.shape[1:], _SIDE)
    large = images.repeat(scale, axis=1).repeat(scale, axis=2)
    framed = np.pad(large, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=190)
    return np.concatenate(list(np.pad(framed, ((0, 0), (0, 0), (0, _GAP), (0, 0)), constant_values=255)), axis=1)


def _shrunk(image: np.ndarray, times: int) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).reduce(times))


def _title(found: Robustness) -> str:
    return f"{found.subject}, {100 * found.clean.accuracy:.1f} % correct"
