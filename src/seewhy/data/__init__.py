"""Labelled images: read, stored at one size, split and sealed by `load_data`.

The names are listed in `__init__.pyi` and loaded at first use: a process that decodes needs none of them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
