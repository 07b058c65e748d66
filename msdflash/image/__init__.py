"""From the bytes of a whole file to an image: segments at addresses. Pure; opens nothing."""
