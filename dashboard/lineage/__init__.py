"""The page that shows what was made from what."""
