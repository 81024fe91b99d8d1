"""Configuration: composed by Hydra from conf/, typed, checked, and hashed.

`schema` types the tree, `checks` refuses what is out of range, `identity` names what decides a result, `instantiate`
builds the objects that `_target_` names. Nothing here imports TensorFlow, Keras or MLflow.
"""

from kerasdl.config.composition import compose, conf_dir, register

__all__ = ["compose", "conf_dir", "register"]
