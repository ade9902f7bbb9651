"""What must hold before marts are published, and what is worth knowing when it does not."""
