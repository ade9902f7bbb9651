"""Builders and local servers that the tests share. Belongs here: how to arrange. Does not: assertions."""
