"""Tables of coordinates: formats, selection of rows, and the meaning of columns."""
