"""MLflow's samples of processor, memory, disk, network and GPU, sent through the journal.

MLflow's own monitor asks the server for the run before each sample, and stops for good the first time the server
doesn't answer. This one measures the same and doesn't talk to a server. Imports MLflow.
"""

import threading
from collections.abc import Callable, Mapping

from mlflow.environment_variables import (
    MLFLOW_SYSTEM_METRICS_NODE_ID,
    MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING,
    MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL,
)
from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from kerasdl.console import warn

# With MLflow's default of 10 s, many a run of one epoch would have no sample.
SAMPLING_SECONDS = 5.0


class JournaledSystemMetrics(SystemMetricsMonitor):
    """Samples the system's metrics on a daemon thread, from `start` to `finish`.

    Args:
        publish: takes the values of a sample, keyed by metric (`system/...`), and its number.
        first_sample: number of the first sample.
    """

    def __init__(self, publish: Callable[[Mapping[str, float], int], None], first_sample: int):
        # Without the parent's, which connects to a server; these are the attributes that its other methods read.
        self.monitors = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
        if gpu := self._initialize_gpu_monitor():
            self.monitors.append(gpu)
        self.sampling_interval = MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or SAMPLING_SECONDS
        self.samples_before_logging = MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING.get() or 1
        self.node_id = MLFLOW_SYSTEM_METRICS_NODE_ID.get()
        self._metrics_prefix = "system/"
        self._shutdown_event = threading.Event()
        self._process = None
        self._publish = publish
        self._logging_step = first_sample

    def monitor(self) -> None:
        """Samples until `finish`."""
        try:
            while True:
                for _ in range(self.samples_before_logging):
                    self.collect_metrics()
                    if self._shutdown_event.wait(self.sampling_interval):
                        return
                self.publish_metrics(self.aggregate_metrics())
        except Exception as error:  # a sensor that fails must not end the run
            warn(f"system metrics have stopped: reading them failed ({error}).")

    def publish_metrics(self, metrics: Mapping[str, float]) -> None:
        """Publishes the values of a sample."""
        prefix = self._metrics_prefix + (f"{self.node_id}/" if self.node_id else "")
        self._publish({f"{prefix}{name}": value for name, value in metrics.items()}, self._logging_step)
        self._logging_step += 1
        for monitor in self.monitors:
            monitor.clear_metrics()

    def finish(self) -> None:
        """Stops the thread."""
        self._shutdown_event.set()
        if self._process:
            self._process.join()
            self._process = None
