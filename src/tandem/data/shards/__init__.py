"""Shards: a dataset in tar shards of the webdataset convention, on the disk or behind a URL.

``train-00000.tar`` holds pairs as ``KEY.a.png`` and ``KEY.b.jpg``, or as ``KEY.ab.jpg`` where A and B lie side by side
in one file; of unpaired data ``train-a-00000.tar`` holds ``KEY.a.*`` and ``train-b-00000.tar`` holds ``KEY.b.*``. The
members are the bytes of the image files, unchanged. ``index.json`` says which shards there are, how large, and with
which hash.
"""
