"""Training: the task's step, the compiled loop round it, and what watches the loop.

`classification` is a task: what one step computes. `loop` compiles many steps into one call, `trainer` runs the calls
through epochs, with Keras callbacks, interrupts and profiling. None of it knows MLflow, Hydra or TFDS.
"""
