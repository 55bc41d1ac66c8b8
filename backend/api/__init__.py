"""What others may know of the service: its typed client, and the shapes of requests and replies."""
