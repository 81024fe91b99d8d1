"""Which store has a run that is gone on with or sent later: the one that the run's record names, and no other."""

from kerasdl.errors import TrackingError
from kerasdl.runs import RunFolder
from kerasdl.tracking.store import Store, require


def require_same(store: Store, folder: RunFolder) -> None:
    """Raises TrackingError if the run is in MLflow already, but in another store than `store`."""
    if folder.record.run_id and folder.tracking_uri not in (None, store.address):
        raise TrackingError(
            f"{store.key} must name the store that has run {folder.id}: {folder.tracking_uri}. "
            f"Received: '{store.address}'. Set tracking.uri to that one."
        )


def recorded_store(folder: RunFolder, located: Store) -> Store:
    """Returns the store that has the run of `folder`, or shall have it.

    Args:
        folder: the run's.
        located: the store that the configuration names. It stands in if the record names none or hides a password.

    Raises:
        TrackingError: the recorded store can't be used, or `located` should stand in for it and is another one.
    """
    address = folder.tracking_uri
    if address in (None, located.address):
        store = located
    elif "***" in address:
        raise TrackingError(
            f"tracking.uri must be given, with its password, for run {folder.id}, which is in {address}. "
            f"Received: '{located.address}'."
        )
    else:
        store = Store(address, located.output_dir, "tracking.uri")
    if store.database:  # a server that doesn't answer is found out when it is talked to, and may come back
        try:
            require(store) if folder.record.run_id else store.check()
        except TrackingError as error:
            if store is located:
                raise
            raise TrackingError(
                f"run {folder.id} is in {store.describe()}, which can't be used ({error}) And {located.address}, which "
                "is named now, is another store."
            ) from error
    return store
