"""Measurements that belong to the repository and not to the installed package: ``python -m benchmarks.NAME``.

Each is a folder with a ``__main__.py``; README.md lists them. They run from the root of a checkout.
"""
