"""The interactive state: what was chosen, what was computed from it, and the thread that computes.

Nothing in here knows Qt, so the whole interaction can be tested without a window.
"""
