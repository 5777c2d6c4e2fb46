"""gguf views a file by the hundred thousand parts, those of a map at more than twice the price of those of an array:
once this is imported, its reader reads the file."""
import numpy as np

np.memmap = lambda path, mode: np.fromfile(path, np.uint8)
