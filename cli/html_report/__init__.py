"""A simulation as one HTML page that needs nothing else: charts are drawn here, as inline SVG."""
