"""Kinds of learning, one a file: what a training step and an evaluation compute, with networks and optimizers by role.

A task is a class derived from `kerasdl.training.task.Task` that is made from the `task` node of the configuration and a
`kerasdl.tasks.context.TaskContext`, from which it gets its networks, optimizers and random numbers. The loop, the
checkpoints and the tracking know nothing of what it computes.

    classification  the class of an example
    regression      one number an example
    autoencoder     the example itself, through a narrow code
"""
