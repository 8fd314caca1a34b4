"""Names of datasets that are read lazily: `tickspan.lazy`."""

from typing import Final

TICKSPAN_DATASET_NAME: Final = "tickspan.dataset.name"
"""A table, a key, a file's name, or what the program calls it."""
TICKSPAN_DATASET_STAGE: Final = "tickspan.dataset.stage"
"""fetch, decode or consume."""
TICKSPAN_DATASET_SIDE: Final = "tickspan.dataset.side"
"""Who waited for the other: producer or consumer."""

TICKSPAN_DATASET_ROWS: Final = "tickspan.dataset.rows"
"""Rows that an iteration has handed out."""
TICKSPAN_DATASET_CHUNKS: Final = "tickspan.dataset.chunks"
"""Chunks that these rows came in."""
TICKSPAN_DATASET_SIZE: Final = "tickspan.dataset.size"
"""Bytes that these chunks took in memory, about."""
TICKSPAN_DATASET_RESUMED: Final = "tickspan.dataset.resumed"
"""Whether the iteration went on from a token or an earlier iteration."""
TICKSPAN_DATASET_END: Final = "tickspan.dataset.end"
"""exhausted, abandoned or failed."""

TICKSPAN_DATASET_CHUNK_DURATION: Final = "tickspan.dataset.chunk.duration"
TICKSPAN_DATASET_PREFETCH_DEPTH: Final = "tickspan.dataset.prefetch.depth"
TICKSPAN_DATASET_STALL_DURATION: Final = "tickspan.dataset.stall.duration"
