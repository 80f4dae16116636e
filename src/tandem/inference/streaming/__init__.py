"""Generators on images of any size in bounded memory: map by map, tile by tile, with the numbers of one forward."""
