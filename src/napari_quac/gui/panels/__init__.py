"""The sections of the dock; each reads results and sets choices, and knows none of the others."""
