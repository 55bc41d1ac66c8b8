"""What the first page is drawn with: the state of everything."""
