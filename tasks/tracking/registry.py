"""MLflow's model registry: versions of a registered model, and which of them is the champion.

A version is created with all its tags, and only then does an alias name it, so that no reader sees a part of it. The
aliases are moved in an order in which a kill does no harm: first `challenger` to the champion that is about to be
replaced, then `champion` to the new version. In between both name the old champion.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from filelock import Timeout
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from pydantic import TypeAdapter, ValidationError

from tasks.tracking.location import DATABASE, Location, locate, prepare
from tasks.tracking.store import LOCK_SECONDS, Store, open_store, open_to_read, store_errors
from vecml.config import Setting
from vecml.errors import SettingError, StoreError
from vecml.foreign_text import is_text
from vecml.keys import text
from vecml.locks import locked

NAME = "vecml"
CHAMPION, CHALLENGER = "champion", "challenger"

SETTING_TAG = "vecml.setting"
RUN_NAME, MODEL_DIGEST = "vecml.run_name", "vecml.model_digest"
REPLACED, PROMOTED_AT, ROLLED_BACK = "vecml.replaced", "vecml.promoted_at", "vecml.rolled_back"
SETTING_FIELDS = ("engine", "device", "precision", "layout", "isa", "block_rows", "threads")
ADDRESS = re.compile(r"models:/([^/@:]+)(?:/([0-9]+)|@([A-Za-z0-9_.-]+))")


@dataclass(frozen=True)
class Version:
    """A version of a registered model.

    Attributes:
        name, number: name of the registered model, and number of the version.
        run_id: id of the pipeline run that it comes from; empty where it was registered without one.
        tags: the version's tags; docs/champion.md lists them.
        created: when it was created, ISO 8601, UTC.
    """

    name: str
    number: int
    run_id: str
    tags: Mapping[str, str] = field(repr=False)
    created: str

    @property
    def address(self) -> str:
        """The permanent address of this version, whichever version is champion."""
        return f"models:/{self.name}/{self.number}"

    @property
    def setting(self) -> Setting | None:
        """The stored setting, or None. Raises StoreError where it is damaged."""
        stored = self.tags.get(SETTING_TAG)
        if stored is None:
            return None
        try:
            return TypeAdapter(Setting).validate_json(stored, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise StoreError(
                f"the tag {SETTING_TAG} of {self.address} is damaged: {first['msg']}",
                "register the model again: vecml champion RUN",
            ) from None


@dataclass(frozen=True)
class RegisteredModel:
    """A registered model: its champion, the champion before it, and all versions.

    Attributes:
        name: name of the registered model.
        champion, challenger: the versions with these aliases; None where there is no such alias.
        versions: all versions, the latest first.
    """

    name: str
    champion: Version | None
    challenger: Version | None
    versions: tuple[Version, ...]


def read_registered_model(name: str = NAME) -> RegisteredModel:
    """Read a registered model; one without versions where it does not exist. Raises StoreError."""
    check_name(name)
    location = locate()
    if location.folder is not None and not (location.folder / DATABASE).exists():
        return RegisteredModel(name, None, None, ())
    return read_registered_model_in(open_to_read(location), name)


def read_registered_model_in(store: Store, name: str) -> RegisteredModel:
    """Read a registered model from an open store, as `read_registered_model` does."""
    with store_errors(store.location):
        aliases = _aliases(store, name)
        found = store.client.search_model_versions(f"name = '{name}'", max_results=10_000)
    versions = {version.number: version for version in map(_version, found)}
    named = {alias: versions.get(number) for alias, number in aliases.items()}
    ordered = tuple(versions[number] for number in sorted(versions, reverse=True))
    return RegisteredModel(name, named.get(CHAMPION), named.get(CHALLENGER), ordered)


def find_version(address: str) -> Version:
    """Find the version that `models:/NAME@ALIAS` or `models:/NAME/NUMBER` names.

    Raises SettingError for any other address, StoreError where there is no such version; its hint names what there is.
    """
    match = ADDRESS.fullmatch(address.strip())
    if match is None or not is_text(address):
        raise SettingError(
            f"{address!r} is no address of a model",
            f"models:/{NAME}@{CHAMPION}, models:/{NAME}/1, or a run's name or id",
        )
    name, number, alias = match.groups()
    model = read_registered_model(name)
    if not model.versions:
        raise StoreError(
            f"there is no model {name!r} in the registry of {locate().shown}", "vecml champion RUN registers one"
        )
    if alias is None:
        for version in model.versions:
            if version.number == int(number):
                return version
        there = ", ".join(str(version.number) for version in model.versions[:10])
        raise StoreError(f"model {name!r} has no version {number}", f"it has {there}")
    store = open_to_read()
    with store_errors(store.location):
        aliases = _aliases(store, name)
    for version in model.versions:
        if version.number == aliases.get(alias):
            return version
    hint = "vecml champion RUN makes one" if alias == CHAMPION else f"aliases: {', '.join(sorted(aliases)) or 'none'}"
    raise StoreError(f"model {name!r} has no {alias}", hint)


def register(store: Store, name: str, run_id: str, setting: Setting, tags: Mapping[str, str]) -> Version:
    """Register a run's model as a new version of `name`, with all its tags; create `name` on first use.

    Raises StoreError where the store cannot be written.
    """
    all_tags = {
        SETTING_TAG: json.dumps(asdict(setting)),
        **{f"vecml.{one}": text(getattr(setting, one)) for one in SETTING_FIELDS},
        **tags,
    }
    with store_errors(store.location):
        try:
            store.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source, model_id = _source(store, run_id)
        return _version(store.client.create_model_version(name, source, run_id, tags=all_tags, model_id=model_id))


def move_champion(store: Store, new: Version, former: Version | None) -> None:
    """Make `new` the champion if the champion is still `former` (or None); `former` becomes the challenger.

    Raises StoreError if another process moved the alias before or right after; `new` is then not the champion.
    """
    with store_errors(store.location):
        _check_unmoved(store, new.name, former)
        if former is not None:
            store.client.set_registered_model_alias(new.name, CHALLENGER, str(former.number))
            _check_unmoved(store, new.name, former)
        store.client.set_registered_model_alias(new.name, CHAMPION, str(new.number))
        _check_unmoved(store, new.name, new)


def delete_version(store: Store, version: Version) -> None:
    """Delete a version that did not become champion; a version that an alias names stays."""
    with store_errors(store.location):
        if version.number not in _aliases(store, version.name).values():
            store.client.delete_model_version(version.name, str(version.number))


def roll_back(name: str = NAME) -> RegisteredModel:
    """Make the champion's predecessor the champion again; the present champion becomes the challenger.

    Raises StoreError where there is no champion or no predecessor, and where another process moved the alias.
    """
    if read_registered_model(name).champion is None:
        raise no_champion(name)
    store = open_store()
    with promotion_lock(store.location):
        model = read_registered_model_in(store, name)
        now = model.champion
        if now is None:
            raise no_champion(name)
        before = _predecessor(model)
        if before is None:
            raise StoreError(
                f"version {now.number} of model {name!r} is its first champion: there is none to go back to",
                "vecml champion RUN makes another run's model champion",
            )
        move_champion(store, before, now)
        with store_errors(store.location):
            note = f"{_now()}: back to version {before.number}"
            store.client.set_model_version_tag(name, str(now.number), ROLLED_BACK, note)
        return read_registered_model_in(store, name)


def no_champion(name: str) -> StoreError:
    """Make the error for a registered model without a champion."""
    return StoreError(f"model {name!r} has no champion in {locate().shown}", "vecml champion RUN makes one")


@contextmanager
def promotion_lock(location: Location) -> Iterator[None]:
    """Let only one process promote in a local store during the `with` block; another store has no such lock.

    Raises StoreError where the store cannot be written, or another process does not end.
    """
    if location.folder is None:
        yield
        return
    prepare(location)
    place = location.folder / ".champion.lock"
    try:
        with locked(place, LOCK_SECONDS):
            yield
    except Timeout:
        raise StoreError(
            f"{place} was held by another process for {LOCK_SECONDS} s",
            "see whether another vecml champion hangs; the lock goes with its process",
        ) from None


def check_name(name: str) -> None:
    """Raise SettingError for a name that a registered model cannot have."""
    if not re.fullmatch(r"[^/:@'\"%\\]{1,200}", name) or not name.isprintable() or not name.strip():
        raise SettingError(f"--name {name!r}: no name for a model", "without / : @ % quotes and backslashes")


def promotion_tags(former: Version | None) -> dict[str, str]:
    """Make the tags that say which version a new champion replaces, and when."""
    return {REPLACED: "none" if former is None else str(former.number), PROMOTED_AT: _now()}


def _predecessor(model: RegisteredModel) -> Version | None:
    """Give the version that the champion replaced, by its tag; without the tag, the challenger."""
    champion, challenger = model.champion, model.challenger
    if champion is None:
        return None
    replaced = champion.tags.get(REPLACED)
    if replaced is None:
        return challenger if challenger is not None and challenger.number != champion.number else None
    return next((version for version in model.versions if str(version.number) == replaced), None)


def _check_unmoved(store: Store, name: str, expected: Version | None) -> None:
    number = _aliases(store, name).get(CHAMPION)
    wanted = None if expected is None else expected.number
    if number != wanted:
        was = "no version" if wanted is None else f"version {wanted}"
        now = "no version" if number is None else f"version {number}"
        raise StoreError(
            f"the alias moved meanwhile: {CHAMPION} of model {name!r} named {was} and names {now} now",
            "another promotion came first; run it again",
        )


def _aliases(store: Store, name: str) -> dict[str, int]:
    """Read the version numbers by alias; none where there is no such model."""
    try:
        aliases = store.client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}
    return {str(alias): int(number) for alias, number in dict(aliases).items()}


def _version(stored: ModelVersion) -> Version:
    created = datetime.fromtimestamp(stored.creation_timestamp / 1000, UTC).isoformat(timespec="seconds")
    return Version(str(stored.name), int(stored.version), stored.run_id or "", dict(stored.tags), created)


def _source(store: Store, run_id: str) -> tuple[str, str | None]:
    """Give the place and the id of the run's logged model; for an imported run, the place of vecml's own form.

    MLflow would look `models:/ID` up in the store of its environment instead of this one, so the place is given.
    """
    found = store.client.search_logged_models([store.experiment.experiment_id], f"source_run_id = '{run_id}'")
    for model in found:
        if str(model.status) == "READY":
            return str(model.artifact_location), model.model_id
    return f"{store.client.get_run(run_id).info.artifact_uri}/model", None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
