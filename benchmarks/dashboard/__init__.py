"""The dashboard at its full size, in a real browser: how soon its pages are there, and what they ask of the backend."""
