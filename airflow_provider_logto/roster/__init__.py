"""People, their roles and organizations as a desired state."""
