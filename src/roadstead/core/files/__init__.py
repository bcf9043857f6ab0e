"""Files: how ours are written, so that nobody sees half of one; how those of others are read; who tells of changes.

Everyone may call it. It knows no file by its name.
"""
