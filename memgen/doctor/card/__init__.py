"""What runs cost and give on a card, measured with random weights of real sizes: one measurement after the other."""
