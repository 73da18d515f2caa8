"""Why a network decides so: one verb, many methods, and tests of their faithfulness."""
