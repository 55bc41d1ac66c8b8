"""The worker: turns a doorbell into one supervised trainer process, never imports torch."""
