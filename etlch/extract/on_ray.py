"""Work on windows of documents in several processes or machines with Ray Data, and return them in their order.

A window is asked together wherever it is worked on, so that the output has the bytes of one process on the same
hardware.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from etlch.core.errors import EtlchError
from etlch.core.extract_settings import ExtractSettings
from etlch.core.extras import need
from etlch.core.locale import _
from etlch.extract.facts import Extraction, Source


class Extracts(Protocol):
    """Whatever extracts from documents."""

    def extract(self, documents: Sequence[Source]) -> Iterable[Extraction]:
        """Return one extraction for each document, in their order."""
        ...


def require_ray(settings: ExtractSettings) -> None:
    """Stop where Ray is missing, or the settings ask it for what it does not do.

    Raises:
        EtlchError: says which.
    """
    need("ray", "ray_workers", "ray")
    if settings.fallback is not None or settings.served is not None:
        raise EtlchError(
            _("ray_workers is asked together with a served or a fallback model"),
            _("An endpoint does not become faster by it: leave ray_workers out."),
        )


def extract_on_ray(
    make: Callable[[], Extracts], windows: Iterable[Sequence[Source]], workers: int
) -> Iterator[Extraction]:
    """Yield one extraction for each document, in their order.

    The cluster is the one that RAY_ADDRESS names, else this machine. All texts go through its object store, which
    spills to disk. Every machine needs etlch, and the model under the same path.

    Args:
        make: called once in each worker.
        windows: documents that are asked together.
        workers: processes; each has a GPU of its own where there are any.
    """
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    rows = [{"window": list(window)} for window in windows]
    if not rows:
        return
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    found = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        _Worker,
        fn_constructor_args=(make,),
        compute=ActorPoolStrategy(size=min(workers, len(rows))),
        num_gpus=1 if ray.cluster_resources().get("GPU") else 0,
    )
    for row in found.iter_rows():
        yield from row["window"]


class _Worker:
    """Holds the model in a process of Ray."""

    def __init__(self, make: Callable[[], Extracts]) -> None:
        self._made = make()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a window's extractions for its documents."""
        return {"window": list(self._made.extract(row["window"]))}
