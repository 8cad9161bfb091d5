"""Tables of coordinates: the formats people have, which rows are read, and what columns mean."""
