"""One growing key-value cache over rows of different lengths, with gradients: each role has one in trainings.

Generation has caches of its own (`row_cache`). Rows are fed in chunks that are padded on the left, so that each row's
newest position is the last one. Padding is masked for good; position ids count real positions only.
"""

from collections.abc import Sequence

import torch
from torch import nn
from transformers import DynamicCache


class Stream:
    """What one role has read so far.

    Args:
        decoder: the base without its output head; gives hidden states after the final norm.
        rows: number of rows B.
        device: where the masks live.
    """

    def __init__(self, decoder: nn.Module, rows: int, device: torch.device) -> None:
        self._decoder = decoder
        self.cache = DynamicCache()
        self._mask = torch.zeros(rows, 0, dtype=torch.long, device=device)  # (B, S), 1 where a real position is
        self._lengths = torch.zeros(rows, dtype=torch.long, device=device)  # (B,), real positions

    def read(self, chunks: Sequence[torch.Tensor], queries: torch.Tensor | None = None) -> torch.Tensor:
        """Read a chunk per row.

        Args:
            chunks: per row embeddings (n_i, D), possibly none where there are queries.
            queries: (K, D), seen behind each row's chunk and forgotten again.

        Returns:
            Hidden states (B, n, D) with n the longest chunk with its queries; a row's own are the last ones.
        """
        if queries is not None:
            chunks = [torch.cat([chunk, queries]) for chunk in chunks]
        embeddings, counts = pad_left(chunks)
        missing = embeddings.shape[1] - torch.tensor(counts, device=embeddings.device)  # (B,)
        mask = (torch.arange(embeddings.shape[1], device=embeddings.device) >= missing[:, None]).long()
        hidden = self._run(embeddings, mask)
        if queries is not None:
            self._forget(queries.shape[0])
        return hidden

    def _forget(self, count: int) -> None:
        """Drop the newest `count` positions of every row."""
        self.cache.crop(-count)
        self._mask, self._lengths = self._mask[:, :-count], self._lengths - count

    def keep_rows(self, rows: torch.Tensor) -> None:
        """Go on with these rows only, indices on the CPU: layers may be on several GPUs."""
        self.cache.batch_select_indices(rows)
        self._mask, self._lengths = self._mask[rows], self._lengths[rows]

    def _run(self, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        positions = (self._lengths[:, None] + mask.cumsum(1) - 1).clamp(min=0)
        self._mask = torch.cat([self._mask, mask], dim=1)
        self._lengths = self._lengths + mask.sum(1)
        hidden: torch.Tensor = self._decoder(
            inputs_embeds=embeddings,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        ).last_hidden_state
        return hidden.to(embeddings.device)  # the last layer may be on another GPU


def pad_left(chunks: Sequence[torch.Tensor]) -> tuple[torch.Tensor, list[int]]:
    """Chunks (n_i, D) padded on the left: (B, n, D), and how many positions of each row are its own."""
    counts = [chunk.shape[0] for chunk in chunks]
    longest = max(counts)
    if min(counts) == longest:
        return torch.stack(list(chunks)), counts
    return torch.stack([nn.functional.pad(chunk, (0, 0, longest - chunk.shape[0], 0)) for chunk in chunks]), counts
