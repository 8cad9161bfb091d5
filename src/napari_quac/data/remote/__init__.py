"""Volumes in buckets and on web servers, read through tensorstore (the extra ``remote``)."""
