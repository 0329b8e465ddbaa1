"""Modules that several functions import."""
