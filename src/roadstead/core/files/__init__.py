"""Files: how ours are written, so that nobody sees half of one, and how those of others are read.

Everyone may call it. It knows no file by its name.
"""
