"""How messages leave the house: webhooks, Slack, Discord and mail, and the loop that sends what lies in the outbox."""
