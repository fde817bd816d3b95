"""Encoding: an example becomes token ids and a supervised span. One renderer serves training and completion."""
