"""The command line: answers, exit codes, messages, and what happens when things go wrong."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import audio_factory as af
import earmark
from earmark import cli
from earmark.cli import playing, progress, tables
from earmark.config import Settings
from earmark.types import Progress

KINDS = ("flute", "organ", "noise")


@pytest.fixture(scope="session")
def sounds(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "sounds"
    for number in range(3):
        af.write_wav(folder / f"flute_{number}.wav", af.tone(300 + 9 * number, seconds=2.0))
        organ = af.tone(300 + 9 * number, seconds=2.0, harmonics=12)
        af.write_wav(folder / f"organ_{number}.wav", organ)
        af.write_wav(folder / f"noise_{number}.wav", af.noise(seconds=2.0, seed=number))
    lines = [f"{p.name},{p.stem.split('_')[0]}" for p in sorted(folder.glob("*.wav"))]
    (folder / "tags.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    return folder


@pytest.fixture(scope="session")
def filled(sounds, tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("cli") / "library"
    with earmark.open(home, settings=Settings()) as lib:
        lib.add(sounds, metadata=sounds / "tags.csv", executor="serial")
    return home


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in [n for n in os.environ if n.startswith("EARMARK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def run(capfd):
    """Run a command in this process: (exit code, standard output, standard error)."""

    def call(*args: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = cli.run([str(arg) for arg in args])
        return code, *capfd.readouterr()

    return call


@pytest.fixture
def library(filled, monkeypatch) -> Path:
    monkeypatch.setenv("EARMARK_LIBRARY", str(filled))
    return filled


@pytest.fixture
def own(filled, tmp_path, monkeypatch) -> Path:
    """A copy that a test may change."""
    shutil.copytree(filled, tmp_path / "own")
    monkeypatch.setenv("EARMARK_LIBRARY", str(tmp_path / "own"))
    return tmp_path / "own"


def check_error(result, *words, hint: str | None = "") -> None:
    """Exit 2, nothing on standard output, one line `error:`, one line `hint:`, no traceback."""
    code, out, err = result
    assert code == 2, err
    assert out == ""
    lines = [line for line in err.splitlines() if not line.startswith("progress:")]
    assert lines[0].startswith("error: ")
    for word in words:
        assert str(word) in lines[0]
    if hint is None:
        assert len(lines) == 1
    else:
        assert len(lines) == 2
        assert lines[1].startswith("hint: ")
        assert hint in lines[1]


# --- help and usage ----------------------------------------------------------------------------

WORKING = {
    *("index", "search", "random", "list", "info", "remove", "verify", "rebuild", "compact"),
    *("watch", "export", "evaluate", "identify", "evaluate identify", "serve"),
    "mcp",
    *("fingerprint train", "fingerprint generate", "fingerprint evaluate"),
    *("tag", "recommend", "playlist", "map"),
    *("hum", "evaluate hum", "models list", "models pull"),
}
WITHOUT_JSON = {"serve", "mcp"}


def test_help_lists_every_command(run):
    code, out, _ = run("--help")
    assert code == 0
    listed = set(re.findall(r"^  (\w+)  ", out, re.M))
    assert listed >= {name.split()[0] for name in WORKING}


@pytest.mark.parametrize("name", sorted(WORKING))
def test_every_command_has_help(run, name):
    code, out, _ = run(*name.split(), "--help")
    assert code == 0
    assert "later version" not in out
    if name not in WITHOUT_JSON | {"evaluate"}:
        assert "--json" in out
    if name != "evaluate":
        assert "--library" in out


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from earmark import cli; cli.run(['--help']); cli.run(['mpa', 'x']);"
        "heavy = {'numpy', 'av', 'faiss', 'soxr', 'rich', 'mutagen', 'fsspec', 'sqlite3'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_wrong_usage(run, library):
    check_error(run("serch", "x"), "serch", "search")
    check_error(run("search", "--nonsense"), "--nonsense", hint="search --help")
    check_error(run("search"), "words", hint="--audio")
    check_error(run("search", "-k", "0", "x"), "-k")
    check_error(run("index"), "PATH")
    check_error(run("search", "x", "--aspect", "pitch=1"), "aspects", "recording", hint="--audio")
    check_error(run("index", Path(__file__).parent, "--executor", "ray"), "ray")


def test_settings_are_checked(run, monkeypatch, library):
    monkeypatch.setenv("EARMARK_WORKERS", "many")
    check_error(run("info"), "EARMARK_WORKERS", hint=None)
    monkeypatch.delenv("EARMARK_WORKERS")
    monkeypatch.setenv("EARMARK_WORKRES", "2")
    check_error(run("info"), "EARMARK_WORKRES", hint="EARMARK_WORKERS")


@pytest.mark.parametrize(
    "args",
    [["search", "x"], ["random"], ["list"], ["info"], ["verify"], ["rebuild"], ["compact"]],
    ids=lambda args: args[0],
)
def test_a_library_that_is_not_there(run, tmp_path, args):
    check_error(run(*args, "-l", tmp_path / "none"), "none", hint="earmark index")
    assert not (tmp_path / "none").exists()


def test_the_library_may_be_named_before_or_after(run, filled):
    before = run("-l", filled, "info", "--json")
    after = run("info", "--json", "--library", filled)
    assert before == after
    assert json.loads(before[1])["tracks"] == 9


# --- search ------------------------------------------------------------------------------------


def test_search_json(run, library, sounds):
    path = sounds / "organ_1.wav"
    code, out, err = run("search", "--audio", path, "--json", "-k", 3)
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["query"] == {"audio": str(path), "k": 3}
    assert len(document["hits"]) == 3
    hit = document["hits"][0]
    assert hit["path"] == str(path)
    assert list(hit) == [
        *("track", "path", "score", "start", "end", "query_start", "query_end", "by"),
        *("title", "artist", "duration", "tags"),
    ]
    assert hit["tags"]["label"] == "organ"
    assert hit["duration"] == pytest.approx(2.0)


def test_words_need_no_quotes(run, library):
    quoted, bare = (run("search", "--json", *words) for words in (["organ wav"], ["organ", "wav"]))
    assert quoted == bare
    assert bare[0] == 0
    assert json.loads(bare[1])["query"]["text"] == "organ wav"


def test_a_file_that_is_taken_as_words_is_noticed(run, library, sounds, monkeypatch):
    monkeypatch.chdir(sounds)
    assert "--audio" in run("search", "organ_1.wav")[2]
    assert "--audio" not in run("search", "organ")[2]
    assert "--audio" not in run("search", "organ_1.wav", "--json")[2]


def test_search_table(run, library, sounds):
    code, out, err = run("search", "--audio", sounds / "organ_1.wav", "--explain")
    assert (code, err) == (0, "")
    head, first, *_ = out.splitlines()
    assert head.split() == ["score", "moment", "by", "ranks", "track"]
    assert re.match(r" *1  1\.000  0:0\d-0:0\d  timbre  timbre:1  .*organ_1\.wav$", first)
    assert all(len(line) <= 100 for line in out.splitlines())


def test_search_options_reach_the_library(run, library, sounds):
    path = sounds / "noise_0.wav"
    args = ["--audio", f"{path}#0:00.5-1.9", "--exclude-self", "--where", "label != 'flute'"]
    code, out, _ = run("search", "--json", "--explain", "--exact", "--by", "timbre", *args)
    document = json.loads(out)
    assert code == 0
    assert document["query"] == {
        "audio": f"{path}#0.5-1.9",
        "by": ["timbre"],
        "where": "label != 'flute'",
        "exclude_self": True,
        "exact": True,
        "k": 10,
    }
    assert len(document["hits"]) == 5
    assert str(path) not in {hit["path"] for hit in document["hits"]}
    assert document["hits"][0]["ranks"] == {"timbre": 1}


def test_search_by_likes(run, library, sounds):
    organ = str(sounds / "organ_0.wav")
    args = ["--like", organ, "--like", "1", "--unlike", "2#0-1", "--json", "-k", "9"]
    code, out, _ = run("search", *args)
    document = json.loads(out)
    assert code == 0
    assert document["query"]["like"] == [organ, "1"]
    assert document["query"]["unlike"] == ["2#0-1"]
    assert len(document["hits"]) == 9


def test_nothing_found_is_exit_1(run, library):
    code, out, err = run("search", "qqqqqqq", "--json")
    assert (code, json.loads(out)["hits"], err) == (1, [], "")
    code, out, err = run("search", "qqqqqqq")
    assert (code, out) == (1, "")
    assert "nothing found" in err


def test_mistakes_in_questions(run, library, tmp_path):
    check_error(run("search", "x", "--where", "lable = 'x'"), "lable", hint="label")
    check_error(run("search", "x", "--where", "label ="), hint="")
    check_error(run("search", "--like", "999"), "999")
    check_error(run("search", "--audio", tmp_path / "none.wav"), "none.wav", hint=None)
    check_error(run("search", "--audio", "a.wav#9-3"), "end after its start", hint=None)
    check_error(run("search", "x", "--by", "timbr"), "timbr", hint="timbre")


def test_random(run, library):
    code, out, _ = run("random", "-k", "4", "--seed", "3", "--json")
    assert code == 0
    assert len(json.loads(out)["hits"]) == 4
    assert run("random", "-k", "4", "--seed", "3", "--json")[1] == out
    seeds = {json.loads(run("random", "--json")[1])["query"]["seed"] for _ in range(2)}
    assert len(seeds) == 2


def test_play(run, library, monkeypatch, tmp_path):
    monkeypatch.setattr(playing, "PLAYERS", (("no-such-player",),))
    code, _, err = run("search", "organ", "--play")
    assert (code, "no player found" in err) == (0, True)
    script = tmp_path / "player"
    script.write_text(f'#!/bin/sh\ncat "$1" | wc -c >> {tmp_path}/played\n')
    script.chmod(0o755)
    monkeypatch.setattr(playing, "PLAYERS", ((str(script),),))
    code, _, err = run("search", "organ", "--play", "-k", "2")
    assert (code, err.count("playing")) == (0, 2)
    sizes = [int(size) for size in (tmp_path / "played").read_text().split()]
    assert [size == pytest.approx(2 * 2 * 22050 + 44, rel=0.01) for size in sizes] == [True, True]


# --- index -------------------------------------------------------------------------------------


def test_index_json_and_exit_codes(run, sounds, tmp_path):
    home = tmp_path / "new"
    folder = tmp_path / "in"
    shutil.copytree(sounds, folder)
    code, out, _ = run("index", folder, "-l", home, "--json", "--workers", "1")
    document = json.loads(out)
    assert code == 0
    assert {k: document[k] for k in ("added", "updated", "unchanged", "removed", "failed")} == {
        "added": 9,
        "updated": 0,
        "unchanged": 0,
        "removed": 0,
        "failed": [],
    }
    assert document["audio_seconds"] == pytest.approx(18, abs=0.1)
    assert document["seconds"] > 0

    (folder / "broken.wav").write_bytes(b"RIFF....")
    (folder / "flute_0.wav").unlink()
    code, out, err = run("index", folder, "-l", home, "--json", "--workers", "1")
    document = json.loads(out)
    assert code == 1
    assert [Path(f["path"]).name for f in document["failed"]] == ["broken.wav"]
    assert document["failed"][0]["error"]
    assert document["unchanged"] == 8
    assert f"failed {folder}/broken.wav: " in err

    code, out, err = run("index", folder, "-l", home, "--prune", "--ignore", "broken*")
    assert (code, out) == (0, "")
    assert "removed 1" in err


def test_index_an_archive_with_tags(run, sounds, tmp_path):
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as pack:
        pack.write(sounds / "organ_0.wav", "kick/01.wav")
    (tmp_path / "tags.json").write_text('[{"path": "pack.zip!/kick/01.wav", "mood": "dark"}]')
    home = tmp_path / "new"
    tags = ["--metadata", tmp_path / "tags.json", "--workers", "1"]
    assert run("index", tmp_path / "pack.zip", "-l", home, *tags)[0] == 0
    code, out, _ = run("list", "-l", home, "--json", "--where", "mood = 'dark'")
    assert code == 0
    assert json.loads(out)["tracks"][0]["path"] == str(tmp_path / "pack.zip!/kick/01.wav")


def test_index_of_nothing_is_refused_before_a_library_is_made(run, sounds, tmp_path):
    code, out, err = run("index", tmp_path / "no", tmp_path / "where.wav", "-l", tmp_path / "new")
    assert (code, out) == (2, "")
    assert "nothing is at" in err
    assert not (tmp_path / "new").exists()
    code, out, _ = run("index", tmp_path / "no", sounds, "-l", tmp_path / "new", "--json")
    assert code == 1
    assert [Path(f["path"]).name for f in json.loads(out)["failed"]] == ["no"]


def test_dry_run_changes_nothing(run, sounds, tmp_path, own):
    code, out, _ = run("index", sounds, "--dry-run", "--json", "-l", tmp_path / "new")
    assert (code, json.loads(out)["new"]) == (0, 9)
    assert not (tmp_path / "new").exists()
    code, out, _ = run("index", sounds, "--dry-run")
    assert code == 0
    assert re.search(r"^unchanged +9$", out, re.M)
    assert "would take about 0:00" in out


def test_unknown_encoder(run, sounds, tmp_path):
    result = run("index", sounds, "-l", tmp_path / "new", "--encoders", "timbr", "--json")
    check_error(result, "timbr", hint="timbre")


# --- the rest ----------------------------------------------------------------------------------


def test_list_and_info(run, library):
    code, out, _ = run("list", "--json", "-k", "2", "--offset", "1")
    document = json.loads(out)
    assert (code, document["total"], len(document["tracks"])) == (0, 9, 2)
    code, out, err = run("list", "--limit", "2")
    assert (code, len(out.splitlines()), "2 of 9" in err) == (0, 3, True)
    assert run("list", "--where", "label = 'none'")[0] == 1
    code, out, _ = run("info")
    assert code == 0
    assert re.search(r"^tracks +9, 0\.0\d hours", out, re.M)
    assert "timbre" in out


@pytest.mark.parametrize("form", ["m3u", "csv", "json", "parquet"])
def test_export(run, library, tmp_path, form):
    target = tmp_path / f"out.{form}"
    code, out, err = run("export", "-o", target, "--where", "label = 'organ'")
    assert (code, out) == (0, "")
    assert "wrote 3 tracks" in err
    content = target.read_bytes()
    if form == "json":
        assert {t["tags"]["label"] for t in json.loads(content)} == {"organ"}
    elif form == "parquet":
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(target)
        assert table.column("label").to_pylist() == ["organ"] * 3
    else:
        assert content.count(b"organ_") >= 3
    if form != "parquet":
        for ask in (["--format", form], [form]):
            assert run("export", *ask, "--where", "label = 'organ'")[1].encode() == content
    assert run("export", "--json")[1] == run("export", "json")[1]


def test_export_needs_a_format(run, library, tmp_path):
    check_error(run("export"), "format", hint="m3u|csv|json|parquet")
    check_error(run("export", "csv", "--format", "m3u"), "csv and m3u", hint="once")
    check_error(run("export", "-o", tmp_path / "x.doc"), "x.doc")
    result = run("export", "-o", tmp_path / "no" / "x.csv")
    check_error(result, "No such file", hint=None)


def test_remove_asks_unless_told(run, own, sounds, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    check_error(run("remove", "1"), "no terminal", hint="--yes")
    check_error(run("remove", "-y"), "either")
    check_error(run("remove", "1", "--where", "label = 'organ'"), "either")
    code, out, _ = run("remove", "1", sounds / "noise_2.wav", "--yes", "--json")
    assert code == 0
    assert json.loads(out)["removed"] == len(json.loads(out)["tracks"])
    assert run("remove", "--where", "label = 'organ'", "--yes")[0] == 0
    assert run("remove", "--where", "label = 'organ'", "--yes")[0] == 1
    code, out, _ = run("list", "--json")
    assert not {t["tags"]["label"] for t in json.loads(out)["tracks"]} & {"organ"}


def test_verify_rebuild_compact(run, own):
    code, out, _ = run("verify", "--json")
    assert (code, json.loads(out)) == (0, {"ok": True, "damages": []})
    (shard,) = own.rglob("*.rows")
    content = bytearray(shard.read_bytes())
    content[20] ^= 0xFF
    shard.write_bytes(content)
    code, out, err = run("verify")
    assert code == 1
    assert "shard" in out
    assert "rebuild" in err
    code, out, _ = run("rebuild", "--json", "--workers", "1")
    assert (code, json.loads(out)["failed"]) == (0, [])
    assert run("verify")[0] == 0
    code, out, _ = run("compact", "--json")
    assert code == 0
    assert json.loads(out)["bytes"] >= 0


def test_rebuild_checks_its_names(run, own):
    check_error(run("rebuild", "--fit", "timbr", "--workers", "1"), "timbr")
    check_error(run("rebuild", "--index", "nonsense", "--workers", "1"), "nonsense", hint=None)


def test_evaluate_retrieval(run, library, sounds):
    manifest = ["--manifest", sounds / "tags.csv"]
    code, out, err = run("evaluate", "retrieval", *manifest, "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert set(document) >= {
        *("precision@1", "precision@10", "recall@10", "map", "ndcg@10"),
        *("encoder", "library_size", "seed", "queries"),
    }
    assert (document["library_size"], document["queries"]) == (9, 9)
    code, out, _ = run("evaluate", "retrieval", *manifest, "--where", "label != 'noise'")
    assert code == 0
    assert re.search(r"^precision@1 +\d\.\d{3}  \(", out, re.M)
    check_error(run("evaluate", "retrieval"), "--manifest")
    check_error(run("evaluate", "retrieval", *manifest, "--encoder", "clap"), "clap")


def test_names_that_are_not_utf8_get_through(run, tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    path = af.write_wav(folder + "/a.wav", af.tone(440, seconds=2.0))
    home = tmp_path / "new"
    assert run("index", folder, "-l", home, "--workers", "1")[0] == 0
    done = subprocess.run(
        [sys.executable, "-m", "earmark", "search", "-l", home, "--audio", path, "--json"],
        capture_output=True,
        check=True,
    )
    assert b"caf\\udce9" in done.stdout
    assert json.loads(done.stdout)["hits"][0]["path"] == str(path)
    done = subprocess.run(
        [sys.executable, "-m", "earmark", "list", "-l", home], capture_output=True, check=True
    )
    assert b"caf\xe9" in done.stdout


def test_a_reader_that_goes_away(library):
    code = "import sys; from earmark import cli; sys.exit(cli.run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "export", "--format", "csv"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(60) == cli.EXIT_PIPE
    assert process.stderr.read() == b""
    process.stderr.close()


def test_interrupts_end_quietly(run, library, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("earmark.library.Library.search", interrupted)
    code, out, err = run("search", "x")
    assert (code, out) == (130, "")
    assert err.strip() == "interrupted"


def test_faults_of_the_program_are_not_hidden(run, library, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("earmark.library.Library.search", broken)
    with pytest.raises(ZeroDivisionError):
        run("search", "x")


# --- helpers -----------------------------------------------------------------------------------


def test_plain_progress_comes_now_and_then(capsys):
    now = [0.0]
    on_progress = progress.plain(lambda: now[0])
    for second in range(25):
        now[0] = float(second)
        on_progress(Progress("encode", second, 24, 100.0 * second, 2400.0))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4  # the first, after 10 and 20 seconds, the last
    assert lines[1] == ("progress: stage=encode files=10/24 hours=0.28/0.67 speed=100x left=0:14")


def test_long_names_are_cut_in_the_middle():
    assert tables.shorten("abcdefghij", 10) == "abcdefghij"
    assert tables.width(tables.shorten("x" * 50 + ".wav", 20)) == 20
    assert tables.width(tables.shorten("音" * 50, 21)) <= 21
    assert tables.clean("a\x1b[31m\nb\udce9") == "a [31m b\udce9"
