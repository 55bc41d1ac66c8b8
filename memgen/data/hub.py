"""Rows of a data set on the Hugging Face hub: data files alone, never a script of the repository."""

from collections.abc import Iterator, Mapping

from memgen.contract.errors import BadInput


def hub_rows(
    repository: str, config: str | None, part: str, *, data: str, way_out: str, revision: str | None = None
) -> Iterator[Mapping[str, object]]:
    """The rows of a published split, from the hub or from what an earlier visit has left in its cache.

    Args:
        repository: `owner/name` of the data set.
        config: its configuration, where it has several.
        part: its split, as it is named there.
        data: the data set that is asked for, for the error.
        way_out: what to do where the hub can't be reached.
        revision: commit, branch or tag; None is the newest.

    Raises:
        BadInput: `dataset_unavailable`.
    """
    # Takes seconds and pulls in pandas and pyarrow: only those pay who load from the hub. It runs no repository's code.
    try:
        import datasets

        at = {} if revision is None else {"revision": revision}
        rows = datasets.load_dataset(repository, config, split=part, **at)
        yield from rows
    # Network, hub, proxy, disk and cache errors come as a dozen unrelated classes, with the same ways out.
    except Exception as error:
        raise BadInput(
            "dataset_unavailable",
            f"{repository} could not be loaded from the hub ({type(error).__name__}: {str(error)[:200]})",
            field="data",
            value=data,
            way_out=way_out,
        ) from error
