"""Files from servers that may be slow, broken or hostile: within bounds, checked, and continued where they stopped.

`transfer.fetch_file` is the way in. What it accepts and how long it waits is data, a `policy.FetchPolicy`; what went
wrong is an `errors.FetchError` with its data as attributes, to which callers add what can be done.
"""
