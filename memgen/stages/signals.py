"""What latents look like while a weaver learns: signs of a training that is alive and learns nothing."""

import torch

from memgen.model.memgen_model import MemGenModel, Row


def latent_signals(model: MemGenModel, rows: list[Row]) -> dict[str, float]:
    """Size and likeness of the latents at the points of some rows; empty where there is no point.

    Returns:
        `latent_norm`: mean norm of the latents over the mean norm of the rows' token embeddings; what is far from 1
        speaks to the reasoner as no token does. `latent_similarity`: mean cosine between two latents of an insertion;
        near 1 they all say the same.
    """
    with torch.no_grad():
        woven = [latents.float() for own in model.latents_of(rows) for latents in own]  # (K, D) each
        tokens = torch.cat([model.embed(row.ids) for row in rows]).float()
    if not woven:
        return {}
    size = torch.cat(woven).norm(dim=-1).mean() / tokens.norm(dim=-1).mean()
    alike = [_similarity(latents) for latents in woven if len(latents) > 1]
    signals = {"latent_norm": float(size)}
    return signals | ({"latent_similarity": sum(alike) / len(alike)} if alike else {})


def _similarity(latents: torch.Tensor) -> float:
    """Mean cosine between two of K latents (K, D)."""
    unit = torch.nn.functional.normalize(latents, dim=-1)
    count = len(latents)
    return float(((unit @ unit.T).sum() - count) / (count * (count - 1)))
