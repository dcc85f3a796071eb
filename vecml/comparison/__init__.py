"""Engines and measuring together: settings as arms, the correctness gate, verdicts, and the file that holds it all."""
