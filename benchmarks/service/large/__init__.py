"""The service at ten times its full size: 10^5 runs, 100 workers that report, 50 tabs that poll."""
