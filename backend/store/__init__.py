"""All that is SQLite's: connections, tables, migrations."""
