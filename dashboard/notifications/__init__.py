"""The page of notifications: channels, their form, and what became of the messages."""
