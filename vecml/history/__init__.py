"""Series over days: where they changed, and whether it was the machine or the program. Numbers in, records out."""
