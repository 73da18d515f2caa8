"""Single images: decoding, colours, near-duplicates."""
