"""What a backend can be asked, a method per route; a file and a class for each noun of the API."""
