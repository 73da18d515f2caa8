"""Labels that look wrong: found, shown to a person, and corrected."""
