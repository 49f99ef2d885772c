"""The compression lab: a model's settings measured side by side, and the page that shows what each of them costs."""
