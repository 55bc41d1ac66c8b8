"""MemGen: latent memory for language models, and the runs that train and judge it."""

__version__ = "0.1.0"
