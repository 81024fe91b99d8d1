"""Examples in: from the name of a data set to batches whose order can be repeated from any step.

`check` says in about a second, without TensorFlow, whether the data can be had; `load` prepares it (offline first),
decodes it once and gives its splits. What an example has is said by `features`; a kind of data is a `source`: `tfds`,
`sklearn_table`. Importing this package imports neither TensorFlow nor TFDS. What happens to a batch afterwards is in
`kerasdl.data.preprocessing` (layers of the model that is handed over) and `kerasdl.data.augmentation` (training alone).
"""

from kerasdl.data.features import Feature, Features
from kerasdl.data.loading import check, load
from kerasdl.data.source import DataInfo, Source
from kerasdl.data.splits import Batch, Data, Split

__all__ = ["Batch", "Data", "DataInfo", "Feature", "Features", "Source", "Split", "check", "load"]
