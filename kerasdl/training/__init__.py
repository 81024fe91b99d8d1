"""Training: the compiled loop around a task's step, and what controls and reports it.

`task` is the interface of a task, which computes one step. `loop` compiles many steps into one call, `trainer` runs
the calls through epochs, with Keras callbacks, checkpoints, interrupts and profiling. Nothing here imports MLflow,
Hydra or TFDS.
"""
