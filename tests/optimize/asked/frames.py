"""Loops over tables as people write them before they ask how to do without: ten that were looked at."""

import numpy as np
import pandas as pd


def orders():
    rng = np.random.default_rng(5)
    n = 2_000
    return pd.DataFrame(
        {
            "price": rng.uniform(1, 100, n),
            "count": rng.integers(1, 20, n),
            "kind": rng.choice(["a", "b", "c"], n),
            "name": rng.choice(["Anna Lee", "bo Ray", "Cy Moss"], n),
        }
    )


def revenue(df):
    total = 0.0
    for _, row in df.iterrows():
        total += row["price"] * row["count"]
    return total


def revenue_inputs():
    return (orders(),)


def with_discount(df):
    out = []
    for i, row in df.iterrows():
        if row["count"] > 10:
            out.append(row["price"] * 0.9)
        else:
            out.append(row["price"])
    df["paid"] = out
    return df


def with_discount_inputs():
    return (orders(),)


def sizes(df):
    def size(row):
        if row["count"] > 15:
            return "large"
        if row["count"] > 5:
            return "middle"
        return "small"

    return df.apply(size, axis=1)


def sizes_inputs():
    return (orders(),)


def spent(df):
    return df.apply(lambda row: row["price"] * row["count"] if row["kind"] == "a" else 0.0, axis=1)


def spent_inputs():
    return (orders(),)


def flagged(df):
    df["flag"] = 0
    for i in range(len(df)):
        if df.loc[i, "price"] > 50:
            df.loc[i, "flag"] = 1
    return df


def flagged_inputs():
    return (orders().iloc[:500].reset_index(drop=True),)


def summed_tuples(df):
    values = []
    for row in df.itertuples():
        values.append(row.price + row.count_)
    return np.array(values)


def summed_tuples_inputs():
    return (orders().rename(columns={"count": "count_"}),)


def upper_names(df):
    df["upper"] = df["name"].apply(lambda name: name.strip().upper())
    return df


def upper_names_inputs():
    return (orders(),)


def mean_by_kind(df):
    means = {}
    for kind in df["kind"].unique():
        part = df[df["kind"] == kind]
        means[kind] = part["price"].mean()
    return means


def mean_by_kind_inputs():
    return (orders(),)


def rows_as_dicts(df):
    rows = []
    for _, row in df.iterrows():
        rows.append({"kind": row["kind"], "total": row["price"] * row["count"]})
    return pd.DataFrame(rows)


def rows_as_dicts_inputs():
    return (orders(),)


def running_stock(df):
    stock = 100.0
    levels = []
    for i in df.index:
        stock -= df.at[i, "count"]
        levels.append(stock)
    df["stock"] = levels
    return df


def running_stock_inputs():
    return (orders(),)
