"""Compilers: rules as other programs evaluate them."""
