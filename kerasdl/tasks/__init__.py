"""Tasks, one per file: what a training step and an evaluation compute, with networks and optimizers by role.

A task is a class derived from `kerasdl.training.task.Task` that is made from the `task` node of the configuration and a
`kerasdl.tasks.context.TaskContext`, from which it gets its networks, optimizers and random numbers. The loop, the
checkpoints and the tracking don't depend on what it computes.

    classification  the class of an example
    regression      one number per example
    autoencoder     the example itself, from a narrow code
"""
