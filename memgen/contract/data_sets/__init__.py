"""What the product knows of each data set: one frozen record per data set, ours and those of plug-ins. No rows."""
