"""Find where the speed of a setting changed over the days, and whether the machine or the program was the cause."""
