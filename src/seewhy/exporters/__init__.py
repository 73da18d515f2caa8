"""Model files in other formats, each checked against its bundle before it is kept."""
