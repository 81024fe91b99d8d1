"""Examples in: from the name of a TFDS data set to batches whose order can be repeated from any step.

`check` says in about a second, without TensorFlow, whether the data can be had; `load` prepares it (offline first),
decodes it once and gives its splits. Importing this package imports neither TensorFlow nor TFDS. What happens to a
batch afterwards is in `kerasdl.data.preprocessing` (a layer of the network) and `kerasdl.data.augmentation` (a call of
the training loop).
"""

from kerasdl.data.info import Data, DataInfo, Split
from kerasdl.data.loading import check, check_classes, load

__all__ = ["Data", "DataInfo", "Split", "check", "check_classes", "load"]
