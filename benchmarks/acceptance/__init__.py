"""The acceptance run on a GPU (``gpu_acceptance.sh``): a table of parts, each in a process of its own, and one report.

Only Tandem's Python interface is used, because a bare machine may lack what the command line needs.
"""
