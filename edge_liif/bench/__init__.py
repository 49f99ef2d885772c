"""The compression lab: models and recipes, measured side by side, on one page (`edge-liif bench`)."""
