"""The drive: a folder that we made, and the files that we publish in it."""
