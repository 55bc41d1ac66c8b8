"""The weaver's own parts: query latents with their norms and scales, and the projections between the two spaces.

The weaver itself is the base with the adapter `weaver`; this module knows nothing of it.
"""

import torch
from torch import nn


class WeaverParts(nn.Module):
    """Query latents and projections, in float32.

    Args:
        hidden_size: width D of the base.
        prompt_latents: K_p, latents at the end of the prompt.
        inference_latents: K_i, latents after a delimiter.
        norms: whether queries are normalised and scaled, or used as they are.
    """

    def __init__(self, hidden_size: int, prompt_latents: int, inference_latents: int, *, norms: bool = True) -> None:
        super().__init__()
        self.prompt_query_latents = nn.Parameter(torch.randn(prompt_latents, hidden_size))
        self.inference_query_latents = nn.Parameter(torch.randn(inference_latents, hidden_size))
        self._norms = norms
        if norms:
            self.prompt_latent_ln = nn.LayerNorm(hidden_size)
            self.inference_latent_ln = nn.LayerNorm(hidden_size)
            self.prompt_latent_scale = nn.Parameter(torch.ones(1))
            self.inference_latent_scale = nn.Parameter(torch.ones(1))
        self.reasoner_to_weaver = nn.Linear(hidden_size, hidden_size)
        self.weaver_to_reasoner = nn.Linear(hidden_size, hidden_size)

    def queries(self, *, prompt: bool) -> torch.Tensor:
        """`LayerNorm(queries) * scale`, or the queries without norms, (K, D), in the weaver's space."""
        if not self._norms:
            return self.prompt_query_latents if prompt else self.inference_query_latents
        if prompt:
            return self.prompt_latent_ln(self.prompt_query_latents) * self.prompt_latent_scale  # type: ignore[no-any-return]
        return self.inference_latent_ln(self.inference_query_latents) * self.inference_latent_scale  # type: ignore[no-any-return]
