"""Data: from the name of a data set to batches in an order that can be reproduced from any step.

`check` finds out in about a second, without TensorFlow, whether the data is available; `load` prepares it (offline
first), decodes it once and returns its splits. `features` describes an example; each kind of data has a file: `tfds`,
`sklearn_table`. Importing this package imports neither TensorFlow nor TFDS. A batch is changed afterwards by
`kerasdl.data.preprocessing` (layers of the final model) and `kerasdl.data.augmentation` (in training only).
"""

from kerasdl.data.features import Feature, Features
from kerasdl.data.loading import check, load
from kerasdl.data.source import DataInfo, Source
from kerasdl.data.splits import Batch, Data, Split

__all__ = ["Batch", "Data", "DataInfo", "Feature", "Features", "Source", "Split", "check", "load"]
