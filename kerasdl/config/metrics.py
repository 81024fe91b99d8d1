"""What is known of a metric by its name: which way is better, and what a choice is made by if nobody says."""

# Before what is looked at once, what was held out for choices.
PREFERRED = ("val_accuracy", "test_accuracy", "val_loss", "test_loss", "accuracy", "loss")
# Beyond losses: what a run costs.
COSTS = ("seconds", "parameters")


def is_cost(metric: str) -> bool:
    """Returns whether less of `metric` is better."""
    return "loss" in metric or metric.endswith("seconds") or metric in COSTS
