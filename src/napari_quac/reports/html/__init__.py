"""Pages of reports: one HTML file each, which needs no server, no network and no other file.

``payload`` turns explanations into what a page holds, ``page`` puts it into the file; ``page.css``
and ``page.js`` are its style and program.
"""
