"""Conversions whose segments are made by workers: processes here or on other machines, by Dask."""
