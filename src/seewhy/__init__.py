"""SeeWhy: from images to a classifier that you understand and can ship.

    seewhy.train("photos/", "photos")     images and a recipe in, a run directory out
    seewhy.load("runs/photos")            a verified model that predicts
    seewhy.evaluate("runs/photos", "photos/", "test")
    seewhy.load_data("photos/")           images, split and sealed

The names are listed in `__init__.pyi` and loaded at first use, so that `import seewhy` is fast.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
