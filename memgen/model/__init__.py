"""The language model: fetching its weights, loading it, its chat format, and how it generates."""
