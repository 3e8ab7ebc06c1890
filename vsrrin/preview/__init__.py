"""Pictures and a page to judge new frames by."""
