"""What the page Try is drawn with."""
