"""What MemGen Studio costs beside the plain way of doing the same: ratios, each measured side by side."""
