"""`python -m kerasdl.register run=best name=digits alias=champion`: registers a run's model, to serve it.

The alias moves to the model unless the current model is better; `force=true` moves it anyway
(`kerasdl.tracking.registry`). TensorFlow isn't needed.
"""

import re
from typing import TYPE_CHECKING

from kerasdl.commands import DIRECTION, REQUIRED, RUN_KEYS, Key, Values, boolean, command
from kerasdl.config.composition import place
from kerasdl.console import row, warn
from kerasdl.errors import ConfigError

if TYPE_CHECKING:
    from kerasdl.tracking.registry import Registration

PORT = 5001


def _name(key: str, value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+", value):
        raise ConfigError(f"{key} must be letters, digits, '.', '_' and '-'. Received: '{value}'.")
    return value


def _alias(key: str, value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", value) or re.fullmatch(r"latest|v\d+", value, re.IGNORECASE):
        raise ConfigError(
            f"{key} must be letters, digits, '_' and '-', and neither latest nor v3 or similar, which MLflow "
            f"reserves. Received: '{value}'."
        )
    return value


KEYS = (
    # No checkpoint=: only a logged or a registered model can be registered. No log=: the registry is where it is kept.
    *(key for key in RUN_KEYS if key.name not in ("checkpoint", "log", "metric", "direction")),
    Key("name", "the registered model, created if there is none: letters, digits, '.', '_' and '-'", REQUIRED, _name),
    Key("alias", "the alias by which it is served: models:/NAME@ALIAS", "champion", _alias),
    Key(
        "metric",
        "the metric by which run=best is chosen, and the model compared with the one that has the alias (default: the "
        "first of val_accuracy, test_accuracy, ... that both runs have)",
    ),
    DIRECTION,
    Key("force", "move the alias even from a better model, or from one that can't be compared", False, boolean),
)


def run(values: Values) -> None:
    """Registers the model, and prints what it replaces and how to serve it."""
    from kerasdl.tracking import lookup
    from kerasdl.tracking.registry import register

    found = lookup.find(place(values), values["run"], values["experiment"], values["metric"], values["direction"])
    done = register(found, values["name"], values["alias"], values["metric"], values["force"], values["direction"])
    own = found.run.params.get("data.name", "")
    if done.is_new and done.before and done.before.data and own and done.before.data != own:
        warn(
            f"the previous model was trained on {done.before.data} and this one on {own}: their metrics may not be "
            "comparable."
        )
    row("model", f"{done.address}, version {done.version}, of run {found.run.id}")
    row("result", _result(done))
    serving = ("models", "serve", "-m", done.address, "--env-manager", "local", "-p", str(PORT))
    row("serve", found.store.mlflow_command(*serving))


def _result(done: "Registration") -> str:
    """Returns the metric of the model, and of the model that had the alias before."""
    value = f"{done.metric} {done.value:.6g}, " if done.metric is not None else ""
    if not done.is_new:
        return f"{value}unchanged: it has the alias already"
    if done.before is None:
        return f"{value}nothing had the alias before"
    old = (done.before.metrics or {}).get(done.metric or "")
    whose = f"version {done.before.version}, of run {done.before.run_id or '(unknown)'}"
    return f"{value}before {whose}" if old is None else f"{value}before {old:.6g} ({whose})"


main = command(
    "register",
    "Registers a run's model under a name and an alias, by which it is served.",
    "python -m kerasdl.register run=best name=digits alias=champion",
    KEYS,
    run,
    details="Keeps the current model of the alias if the new run is worse or cannot be compared, unless force=true. "
    "Serve it with: mlflow models serve -m models:/NAME@ALIAS --env-manager local.",
)


if __name__ == "__main__":
    main()
