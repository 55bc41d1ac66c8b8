"""What the page of data sets is drawn with."""
