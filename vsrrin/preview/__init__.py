"""Pictures to judge new frames by."""
