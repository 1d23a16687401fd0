"""The digits: images that are read as sequences, row by row or pixel by pixel."""
