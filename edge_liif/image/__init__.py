"""Pictures in and out: reading any supported file into one array, writing rows as they are finished."""
