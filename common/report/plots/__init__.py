"""Charts as inline SVG, without a plotting library: a few kilobytes each, in the colours of the page they stand in."""
