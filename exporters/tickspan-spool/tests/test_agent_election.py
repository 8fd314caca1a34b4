"""One agent for each environment: who is elected, who sees it, what a removed spool means."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tickspan_spool.identity import environment_id, pid_namespace
from tickspan_spool.liaison import AgentPlaces, Election, Holder, holder


@pytest.fixture
def places(tmp_path: Path) -> AgentPlaces:
    places = AgentPlaces.of(tmp_path / "spool", "0123456789ab")
    places.prepare()
    return places


@pytest.fixture
def elected(places: AgentPlaces) -> Iterator[Election]:
    election = Election(places)
    assert election.win()
    yield election
    election.resign()


def test_an_environment_has_twelve_digits_of_its_prefix():
    assert (environment_id("/opt/bot"), len(environment_id())) == ("4ea0031b830d", 12)


def test_nobody_is_the_agent_of_a_spool_that_is_not_there(tmp_path: Path):
    assert holder(AgentPlaces.of(tmp_path / "none")) is None


def test_the_elected_one_is_seen_by_its_number(places: AgentPlaces, elected: Election):
    found = holder(places)
    assert found == Holder(os.getpid(), found.token if found else "", pid_namespace())
    assert found is not None
    assert len(found.token) == 16


def test_a_second_candidate_loses(places: AgentPlaces, elected: Election):
    assert Election(places).win(patience_s=0) is False


def test_another_environment_elects_its_own(places: AgentPlaces, elected: Election):
    other = Election(AgentPlaces.of(places.directory, "ba9876543210"))
    assert other.win(patience_s=0)
    other.resign()


def test_nobody_is_the_agent_after_a_resignation(places: AgentPlaces):
    election = Election(places)
    election.win()
    election.resign()
    assert holder(places) is None


def test_an_election_stands_as_long_as_its_file_does(places: AgentPlaces, elected: Election):
    before = elected.still_stands()
    shutil.rmtree(places.directory)
    assert (before, elected.still_stands()) == (True, False)


def test_a_lock_file_that_is_replaced_ends_the_election(places: AgentPlaces, elected: Election):
    places.lock.unlink()
    places.lock.touch()
    assert not elected.still_stands()


def test_the_files_are_for_their_owner_alone(places: AgentPlaces, elected: Election):
    modes = [path.stat().st_mode & 0o777 for path in (places.folder.parent, places.folder, places.lock)]
    assert modes == [0o700, 0o700, 0o600]


def test_a_folder_that_others_can_write_is_refused(places: AgentPlaces):
    places.folder.chmod(0o777)
    with pytest.raises(PermissionError, match="its owner alone can write, got mode 777"):
        places.prepare()


def test_a_link_in_place_of_the_lock_is_not_followed(places: AgentPlaces, tmp_path: Path):
    (tmp_path / "elsewhere").touch()
    places.lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Election(places).win(patience_s=0)
