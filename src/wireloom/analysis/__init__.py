"""What tables of results say about wirings. Free of torch: any table will do."""

from wireloom.analysis.spot import SweetSpot, sweet_spot

__all__ = ["SweetSpot", "sweet_spot"]
