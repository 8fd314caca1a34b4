"""Compiled twins of this distribution's hot modules, where a compiler was there."""
