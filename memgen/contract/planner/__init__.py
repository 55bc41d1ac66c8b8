"""How much memory and disk a run needs: arithmetic on its config and the model's dimensions. No torch."""
