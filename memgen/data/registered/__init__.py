"""Rows of users: files read, columns mapped, rows checked and kept, without a package of their own."""
