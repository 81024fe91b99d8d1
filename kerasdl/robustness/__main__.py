"""`python -m kerasdl.robustness run=last`: a network's accuracy on images that are attacked or corrupted.

All attacks and corruptions use the first examples of one split and one seed. Results are shown as they come, then kept
with the run.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kerasdl import console
from kerasdl.commands import (
    OVERWRITE,
    RUN_KEYS,
    Key,
    Values,
    choice,
    choices,
    command,
    fresh_directory,
    integer,
    names,
    numbers,
)
from kerasdl.config.explain import did_you_mean
from kerasdl.errors import ConfigError, DataError
from kerasdl.files import shorten, written_whole
from kerasdl.seeds import derive

if TYPE_CHECKING:
    from kerasdl.attacks import Attack
    from kerasdl.robustness.measuring import Examples, Outcome
    from kerasdl.robustness.pictures import Strip
    from kerasdl.robustness.progress import Progress
    from kerasdl.robustness.scores import AttackScore, CorruptionScore, Robustness
    from kerasdl.trained import Trained


def _count(key: str, value: str) -> int | None:
    """The parser of a number of examples; None for `all`."""
    return None if value == "all" else integer(1)(key, value)


KEYS = (
    *RUN_KEYS,
    Key("split", "the split of the examples: train, validation or test", "test", choice("train", "validation", "test")),
    Key("examples", "how many examples, the first ones, or all", 1000, _count),
    Key("attacks", "fgsm, pgd, both with a comma between, or none", ("fgsm", "pgd"), choices("fgsm", "pgd", "none")),
    Key("norms", "what bounds an attack: linf (each pixel's change), l2 (its Euclidean length), or both",
        ("linf", "l2"), choices("linf", "l2")),
    Key("epsilons.linf", "budgets in L-inf, black to white being 1", (0.05, 0.1, 0.2, 0.3), numbers(0, 1)),
    Key("epsilons.l2", "budgets in L2, on the same scale", (0.5, 1.0, 2.0, 3.0), numbers(0)),
    Key("steps", "steps of PGD", 20, integer(1)),
    Key("restarts", "how often PGD starts, each time at another random point", 2, integer(1)),
    Key("corruptions", "common (14, for any images), mnist (the 15 of MNIST-C), all (both), some by name, or none "
        "(default: all on grey images, common on colour)", parse=names),
    Key("severities", "of the corruptions", ("1", "2", "3", "4", "5"), choices("1", "2", "3", "4", "5")),
    Key("seed", "of everything random in attacks and corruptions", 0, integer(0)),
    Key("output", "a directory to write the tables and pictures to as well"),
    OVERWRITE,
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """The attacks and corruptions to measure.

    Attributes:
        attacks: each with its name, by name, norm and budget.
        corruptions: names.
        severities: rising.
        seed: of all random numbers.
    """

    attacks: "Sequence[tuple[str, Attack]]"
    corruptions: Sequence[str]
    severities: Sequence[int]
    seed: int

    def work(self, examples: int) -> int:
        """Returns roughly how many images go through the network."""
        steps = sum(attack.steps * attack.restarts for _, attack in self.attacks)
        return examples * (steps + len(self.corruptions) * len(self.severities))


def run(values: Values) -> None:
    """Measures the network, shows the results and keeps them."""
    output = fresh_directory(values["output"], values["overwrite"]) if values["output"] else None
    attacks, corruptions = _attacks(values["attacks"]), _corruptions(values["corruptions"])
    if not attacks and corruptions == ():
        raise ConfigError("attacks and corruptions are both none. Leave one of them out, or name some.")
    from kerasdl import trained

    with trained.opened(values) as network:
        plan = _plan(values, attacks, corruptions, network.image_shape[2])
        examples, subject = _examples(network, values["split"], values["examples"])
        from kerasdl.robustness.pictures import strips
        from kerasdl.robustness.progress import Progress
        from kerasdl.robustness.scores import Robustness

        with Progress(plan.work(len(examples.images))) as progress:
            progress.show("clean", examples.clean.score)
            attacked = [_attacked(examples, name, attack, plan.seed, progress) for name, attack in plan.attacks]
            corrupted = [one for name in plan.corruptions for one in _corrupted(examples, name, plan, progress)]
        found = Robustness(
            subject, examples.clean.score, [score for score, _ in attacked], [score for score, _ in corrupted]
        )
        try:
            kept = _keep(found, strips(examples, attacked, corrupted, network.class_names), network, output)
        finally:  # results are shown even if they can't be kept
            _show(found)
        if output:
            console.row("output", f"{shorten(output)}: {', '.join(kept)}")


def _attacks(asked: Sequence[str]) -> Sequence[str]:
    """Returns the attacks that `attacks=` names.

    Raises:
        ConfigError: none and others.
    """
    if "none" in asked and len(asked) > 1:
        raise ConfigError(f"attacks must be none, or names. Received: '{','.join(asked)}'. Take one or the other.")
    return [name for name in asked if name != "none"]


def _corruptions(asked: Sequence[str] | None) -> tuple[str, ...] | None:
    """Returns the corruptions that `corruptions=` names; None if it isn't given.

    Raises:
        ConfigError: there is no such corruption.
    """
    from kerasdl.robustness.corruptions import COMMON, CORRUPTIONS, MNIST_C

    groups = {"common": COMMON, "mnist": MNIST_C, "all": tuple(CORRUPTIONS), "none": ()}
    if asked is None:
        return None
    for name in asked:
        if name not in CORRUPTIONS and (name not in groups or len(asked) > 1):
            hint = did_you_mean(name, CORRUPTIONS)
            raise ConfigError(f"corruptions must be {', '.join(groups)}, or names. Received: '{name}'.{hint}")
    return groups[asked[0]] if asked[0] in groups else tuple(dict.fromkeys(asked))


def _plan(values: Values, kinds: Sequence[str], corruptions: tuple[str, ...] | None, channels: int) -> Plan:
    from kerasdl.attacks import Attack
    from kerasdl.robustness.corruptions import COMMON, CORRUPTIONS

    def attack(name: str, norm: str, epsilon: float) -> "Attack":
        if name == "fgsm":
            return Attack.fgsm(norm, epsilon)
        return Attack(norm, epsilon, steps=values["steps"], restarts=values["restarts"])

    attacks = [
        (name, attack(name, norm, epsilon))
        for name in kinds
        for norm in values["norms"]
        for epsilon in sorted(set(values[f"epsilons.{norm}"]))
    ]
    if corruptions is None:
        corruptions = tuple(CORRUPTIONS) if channels == 1 else COMMON
    return Plan(attacks, corruptions, sorted(map(int, values["severities"])), values["seed"])


def _examples(network: "Trained", split: str, count: int | None) -> "tuple[Examples, str]":
    """Returns the network with its examples, and a description of them for titles."""
    from kerasdl import trained
    from kerasdl.robustness.measuring import Examples

    data = network.data()
    found = getattr(data, split)
    if found is None:
        raise DataError(f"split: {data.info.name} has no {split} split here. Take another: split=train.")
    batch = trained.examples(found, count)
    images, labels = batch["image"], batch["label"]
    which = "all" if len(images) == found.size else "the first"
    subject = f"{network.model.name} on {which} {len(images):,} examples of {data.info.name}'s {split} split"
    return Examples(network.on_pixels(), images, labels), subject


def _attacked(
    examples: "Examples", name: str, attack: "Attack", seed: int, progress: "Progress"
) -> "tuple[AttackScore, Outcome]":
    from kerasdl.robustness.scores import AttackScore

    # The same random starts, but for their length, at every budget: curves over budgets are of one experiment.
    own_seed = derive(seed, "robustness", name, attack.norm)
    cost = attack.steps * attack.restarts
    progress.begin(f"{name} {attack.norm} {attack.epsilon:g}")
    outcome = examples.attacked(attack, own_seed, lambda images: progress.advance(images * cost))
    score = AttackScore(name, attack.norm, attack.epsilon, attack.steps, attack.restarts, outcome.score)
    progress.show(score.label, score.score)
    return score, outcome


def _corrupted(
    examples: "Examples", name: str, plan: Plan, progress: "Progress"
) -> "list[tuple[CorruptionScore, Outcome]]":
    from kerasdl.robustness.corruptions import CORRUPTIONS
    from kerasdl.robustness.scores import CorruptionScore

    progress.begin(name)
    found = []
    for severity in plan.severities:
        outcome = examples.corrupted(name, severity, plan.seed)
        corruption = CORRUPTIONS[name]
        amount = corruption.amounts[severity - 1]
        found.append((CorruptionScore(name, severity, amount, corruption.unit, outcome.score), outcome))
        progress.advance(len(examples.images))
    progress.show(name.replace("_", " "), *(score.score for score, _ in found))
    return found


def _show(found: "Robustness") -> None:
    from rich.console import Console

    from kerasdl.robustness import tables

    terminal = Console(highlight=False)
    if terminal.is_terminal:
        tables.show(found, terminal)
    else:
        print(tables.text(found), end="", flush=True)


def _keep(found: "Robustness", shown: "Sequence[Strip]", network: "Trained", output: Path | None) -> list[str]:
    """Writes tables and pictures into `output`, if there is one, and into the run's artifact folder `robustness`.

    Returns:
        The names of the files.
    """
    from kerasdl.robustness import pictures
    from kerasdl.robustness.scores import attacks_csv, corruptions_csv

    texts, figures = {}, {"examples.png": pictures.example_sheet(shown, found.subject)}
    if found.attacks:
        texts["adversarial.csv"] = attacks_csv(found)
        figures["adversarial.png"] = pictures.attack_curves(found)
    if found.corruptions:
        texts["corruptions.csv"] = corruptions_csv(found)
        figures["corruptions.png"] = pictures.corruption_map(found)
    with tempfile.TemporaryDirectory(prefix="kerasdl-") as temporary:
        folder = output or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with written_whole(folder / name) as file:
                file.write(text.encode())
        for name, figure in figures.items():
            with written_whole(folder / name) as file:
                figure.savefig(file, format="png")
        for name in (*texts, *figures):
            network.results.file(folder / name, "robustness")
    network.results.metrics(found.metrics())
    return [*texts, *figures]


main = command(
    "robustness",
    "Measures the accuracy of a trained network on images that are attacked (FGSM, PGD) or corrupted.",
    "python -m kerasdl.robustness run=last attacks=pgd norms=linf corruptions=none",
    KEYS,
    run,
    details="Budgets are on the scale where black is 0 and white 1. An example counts as right if it is right with and "
    "without the attack, and after every restart. Intervals are 95 %.",
)

if __name__ == "__main__":
    main()
