"""The board's folder as a volume: a mount that knows upper from lower case as FAT does, and sees who still writes."""
