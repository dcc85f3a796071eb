"""Loops over tables as people write them before they ask how to do without: five looked at only at the end."""

import numpy as np
import pandas as pd


def trips():
    rng = np.random.default_rng(6)
    n = 1_500
    return pd.DataFrame(
        {
            "km": rng.uniform(1, 300, n),
            "hours": rng.uniform(0.1, 6, n),
            "driver": rng.integers(0, 12, n),
            "city": rng.choice(["Rome", "Oslo", "Bern"], n),
        }
    )


def speeds(df):
    df["speed"] = np.nan
    for i, row in df.iterrows():
        df.at[i, "speed"] = row["km"] / row["hours"]
    return df


def speeds_inputs():
    return (trips(),)


def far_trips(df):
    count = 0
    for i in range(len(df)):
        if df["km"].iloc[i] > 200 and df["city"].iloc[i] == "Oslo":
            count += 1
    return count


def far_trips_inputs():
    return (trips(),)


def labels(df):
    def label(km, hours):
        if km / hours > 100:
            return 2
        if km / hours > 50:
            return 1
        return 0

    df["label"] = df.apply(lambda row: label(row["km"], row["hours"]), axis=1)
    return df


def labels_inputs():
    return (trips(),)


def longest_by_driver(df):
    rows = []
    for driver, part in df.groupby("driver"):
        rows.append({"driver": driver, "longest": part["km"].max(), "trips": len(part)})
    return pd.DataFrame(rows)


def longest_by_driver_inputs():
    return (trips(),)


def city_codes(df):
    codes = []
    for city in df["city"]:
        codes.append(city[:2].lower())
    return codes


def city_codes_inputs():
    return (trips(),)
