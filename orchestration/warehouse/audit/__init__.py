"""What the marts must satisfy before they are published."""
