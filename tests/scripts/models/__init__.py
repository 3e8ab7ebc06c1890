"""Tests of the scripts that make and compare weights."""
