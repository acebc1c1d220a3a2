from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.captions_input import read_captions
from analysis.reading import Reading
from core.errors import BadCaptionsError, NoSuchPathError, NothingToReadError, ShardTruncatedError
from shards.writer import write_shard
from tests.shards.make_shards import picture

TWO = [("1", "a dog"), ("2", "a cat")]


def read(path: str | Path, **how: object) -> list[tuple[str, str]]:
    return list(read_captions(path, **how))  # type: ignore[arg-type]


def texts(path: str | Path, **how: object) -> list[str]:
    return [text for _, text in read(path, **how)]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


Write = Callable[[str, str | bytes], Path]


# ---- every kind of input --------------------------------------------------------------------------------------------


def test_json_lines_are_read(write: Write) -> None:
    assert read(write("a.jsonl", '{"caption": "a dog"}\n\n{"caption": "a cat"}\n')) == [("1", "a dog"), ("3", "a cat")]
    assert read(write("a.ndjson", '{"text": "a dog", "key": "k/1"}\n{"text": "a cat", "id": 7}')) == [
        ("k/1", "a dog"),
        ("7", "a cat"),
    ]
    assert texts(write("b.jsonl", '"a dog"\n"a cat"\n')) == ["a dog", "a cat"]


def test_csv_is_read_with_quotes_and_line_breaks(write: Write) -> None:
    content = 'url,Caption\r\nx,"a ""red"" dog,\nasleep"\r\ny,a cat\r\n'
    assert texts(write("a.csv", content)) == ['a "red" dog,\nasleep', "a cat"]


def test_tsv_is_read_without_quoting(write: Write) -> None:
    assert texts(write("a.tsv", 'id\tALT_TEXT\n1\t"a dog\n2\ta cat\n')) == ['"a dog', "a cat"]
    assert read(write("b.TSV", "alt text\na dog\na cat\n")) == [("2", "a dog"), ("3", "a cat")]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
)
def test_parquet_is_read_whatever_its_text_type(kind: pa.DataType, tmp_path: Path) -> None:
    values = [b"a dog", b"a cat"] if kind == pa.binary() else ["a dog", "a cat"]
    pq.write_table(pa.table({"key": ["1", "2"], "caption": pa.array(values).cast(kind)}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == TWO


def test_a_text_file_is_one_caption_a_line(write: Write) -> None:
    assert read(write("a.txt", "a dog\r\n\r\na cat")) == [("1", "a dog"), ("3", "a cat")]


def test_a_folder_of_text_files_is_one_caption_each(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.txt").write_text("a cat\nand more")
    (tmp_path / "sub" / "a.txt").write_text("a dog")
    (tmp_path / "b.jpg").write_bytes(b"")
    (tmp_path / ".hidden.txt").write_text("no")
    assert read(tmp_path) == [("b", "a cat\nand more"), ("sub/a", "a dog")]


def test_shards_are_read_one_by_one_and_as_a_folder(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    for number, text in enumerate(["a dog", "a cat"]):
        samples = [
            (f"{number}-0", {"jpg": picture(number), "txt": text.encode(), "json": b"{}"}),
            (f"{number}-1", {"jpg": picture(number)}),
        ]
        write_shard(tmp_path / "shards" / f"{number}.tar", samples)
    reading = Reading()
    assert read(tmp_path / "shards", reading=reading) == [("0-0", "a dog"), ("1-0", "a cat")]
    assert (reading.captions, reading.without_caption) == (2, 2)
    assert read(tmp_path / "shards" / "1.tar") == [("1-0", "a cat")]


@pytest.mark.parametrize(
    ("content", "how", "expected"),
    [
        (b'\n{"text": "a dog"}\n{"text": "a cat"}\n', {}, [("2", "a dog"), ("3", "a cat")]),
        (b"a dog\na cat\n", {}, TWO),
        (b'"a dog" it says\n', {}, [("1", '"a dog" it says')]),
        (b'{"x": "a dog"}\n', {"column": "x"}, [("1", "a dog")]),
    ],
)
def test_standard_input_is_json_lines_or_plain(
    content: bytes, how: dict[str, object], expected: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert read("-", **how) == expected


@pytest.mark.parametrize("name", ["alt_text_noisy", "human_dense_iiw", "model_dense_llava"])
def test_real_caption_files_are_read_whole(name: str, real_data: Path) -> None:
    path = real_data / "caption-text" / f"{name}.jsonl"
    reading = Reading()
    assert len(read(path, reading=reading)) == len(path.read_bytes().splitlines())
    assert reading.notes() == []


def test_a_real_tsv_names_its_korean_column(real_data: Path) -> None:
    korean = texts(real_data / "ko-en-parallel" / "captions_korsts.tsv", column="ko")
    assert korean[0] == "선로에 녹색과 흰색 열차 두 대가 있다."


# ---- finding the caption --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["caption", "CAPTION", "text", "txt", "alt_text", "Alt-Text", "description", "sentence"]
)
def test_the_caption_column_is_found_by_its_name(name: str, write: Write) -> None:
    row = {"url": "x", name: "a dog", "prompt": "Describe this image", "id": 1, "model": "m"}
    assert texts(write("a.jsonl", json.dumps(row))) == ["a dog"]


def test_two_columns_that_could_be_the_caption_ask_for_a_name(write: Write) -> None:
    path = write("a.csv", "caption,alt_text\na dog,a cat\n")
    with pytest.raises(BadCaptionsError, match="2 columns that could be the caption: caption, alt_text") as caught:
        read(path)
    assert "--column" in caught.value.hint
    assert texts(path, column="alt_text") == ["a cat"]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_no_caption_column_is_told_with_the_columns_there_are(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "a.parquet":
        pq.write_table(pa.table({"url": ["x"], "words": ["a dog"]}), path)
    else:
        path.write_text("url,words\nx,a dog\n" if name == "a.csv" else '{"url": "x", "words": "a dog"}\n')
    with pytest.raises(BadCaptionsError, match="no caption column") as caught:
        read(path)
    assert "url, words" in caught.value.hint
    assert texts(path, column="words") == ["a dog"]
    with pytest.raises(BadCaptionsError, match="no column 'nope'"):
        read(path, column="nope")


# ---- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\nnot json\n{"text": "b"}\n', "line 2 is not JSON"),
        ('{"text": "a"}\n{"text": "cut o\n{"text": "b"}\n', "line 2 is not JSON"),
        ('{"text": "a"}\n[1, 2]\n{"text": "b"}\n', "line 2 is JSON, but neither an object nor a string"),
        ('{"text": "a"}\n{"text": ["x"]}\n{"text": "b"}\n', "line 2 has a caption that is no text but list"),
        ('{"text": "a"}\n{"text": 3}\n{"text": "b"}\n', "line 2 has a caption that is no text but int"),
        ('{"text": "a"}\n' + "[" * 100_000 + '\n{"text": "b"}\n', "line 2 is not JSON"),
    ],
)
def test_a_bad_line_is_named_or_passed_over_and_counted(content: str, message: str, write: Write) -> None:
    path = write("a.jsonl", content)
    with pytest.raises(BadCaptionsError, match=message) as caught:
        read(path)
    assert str(path) in caught.value.sentence
    reading = Reading()
    assert texts(path, skip_bad=True, reading=reading) == ["a", "b"]
    assert reading.bad_lines == 1
    assert "1 lines could not be read" in reading.notes()[0]


def test_a_row_with_more_cells_than_the_header_is_named(write: Write) -> None:
    path = write("a.csv", "id,caption\n1,a dog\n2,a cat, asleep\n3,a bird\n")
    with pytest.raises(BadCaptionsError, match="line 3 has 3 cells, the header has 2"):
        read(path)
    assert texts(path, skip_bad=True) == ["a dog", "a bird"]


def test_a_quote_that_never_ends_is_refused(write: Write) -> None:
    with pytest.raises(BadCaptionsError, match="is broken"):
        read(write("a.csv", 'id,caption\n1,"a dog\n2,a cat\n'))


def test_empty_captions_count_and_missing_ones_do_not(write: Write) -> None:
    reading = Reading()
    path = write("a.jsonl", '{"text": ""}\n{"text": null}\n{"other": 1}\n{"text": " "}\n')
    assert texts(path, reading=reading) == ["", " "]
    assert (reading.captions, reading.empty, reading.without_caption) == (2, 2, 2)
    assert len(reading.notes()) == 2


@pytest.mark.parametrize(
    ("name", "content", "numbered"),
    [
        ("a.jsonl", '{"key": "x", "text": "a"}\n{"text": "b"}\n"c"\n', 2),
        ("a.csv", "id,caption\nx,a\n", 0),
        ("a.tsv", "caption\na\nb\n", 2),
        ("a.txt", "a\n\nb\n", 2),
    ],
)
def test_rows_that_are_known_by_their_line_alone_are_counted(
    write: Write, name: str, content: str, numbered: int
) -> None:
    reading = Reading()
    read(write(name, content), reading=reading)
    assert reading.numbered == numbered


def test_nuls_and_broken_utf_8_are_put_right_and_counted(write: Write, tmp_path: Path) -> None:
    reading = Reading()
    raw = b'{"text": "a \x00dog"}\n{"text": "a c\xff\xfeat"}\n{"text": "a \\u0000 bird"}\n'
    assert texts(write("a.jsonl", raw), reading=reading) == ["a  dog", "a c\ufffd\ufffdat", "a   bird"]
    assert (reading.with_nul, reading.not_utf8) == (2, 1)

    reading = Reading()
    assert texts(write("a.csv", b"caption\na\x00dog\n\xffcat\n"), reading=reading) == ["a dog", "\ufffdcat"]
    assert (reading.with_nul, reading.not_utf8) == (1, 1)

    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_bytes(b"dog\xff\x00")
    assert texts(tmp_path / "folder") == ["dog\ufffd "]

    broken = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\4\0\0\0"), pa.py_buffer(b"dog\xff"))
    pq.write_table(pa.table({"caption": broken}), tmp_path / "a.parquet")
    assert texts(tmp_path / "a.parquet") == ["dog\ufffd"]


def test_a_byte_order_mark_is_no_part_of_the_first_column(write: Write) -> None:
    assert texts(write("a.csv", b"\xef\xbb\xbfcaption\na dog\n")) == ["a dog"]


@pytest.mark.parametrize("content", ["a dog".encode("utf-16"), b"\x1f\x8b\x08\x00rest", b"PK\x03\x04rest"])
def test_utf_16_and_compressed_files_are_refused_with_the_remedy(content: bytes, write: Write) -> None:
    with pytest.raises(BadCaptionsError, match=r"is UTF-16|is compressed") as caught:
        read(write("a.jsonl", content))
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all"])
def test_a_broken_parquet_file_is_refused(content: bytes, write: Write) -> None:
    with pytest.raises(BadCaptionsError, match="cannot be read as Parquet"):
        read(write("a.parquet", content))


def test_a_parquet_column_that_is_no_text_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"caption": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(BadCaptionsError, match="is int64, not text"):
        read(tmp_path / "a.parquet")


def test_a_truncated_shard_is_refused_as_one(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", [("1", {"jpg": picture(), "txt": b"a dog"})])
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:-1024])
    with pytest.raises(ShardTruncatedError):
        read(tmp_path / "a.tar")


def test_a_path_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(NoSuchPathError, match=r"no file or folder .*nope\.jsonl"):
        read_captions(tmp_path / "nope.jsonl")


@pytest.mark.parametrize("name", ["a.docx", "a.jsonl.gz", "captions"])
def test_an_unknown_kind_of_file_is_told_with_the_known_ones(name: str, write: Write) -> None:
    with pytest.raises(BadCaptionsError, match="of no kind") as caught:
        read_captions(write(name, "x"))
    assert ".jsonl" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", ""),
        ("a.jsonl", "\n\n"),
        ("a.csv", ""),
        ("a.csv", "caption\n"),
        ("a.txt", "\n"),
        ("a.jsonl", '{"text": null}'),
    ],
)
def test_a_file_without_a_caption_is_refused(name: str, content: str, write: Write) -> None:
    with pytest.raises(NothingToReadError, match="holds no caption"):
        read(write(name, content))


def test_standard_input_without_a_caption_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    with pytest.raises(NothingToReadError, match="standard input holds no caption"):
        read("-")


def test_a_folder_without_captions_or_with_two_kinds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "picture.jpg").write_bytes(picture())
    with pytest.raises(NothingToReadError, match=r"no \.txt and no \.tar"):
        read(tmp_path)
    (tmp_path / "a.txt").write_text("a dog")
    write_shard(tmp_path / "a.tar", [("1", {"jpg": picture(), "txt": b"a dog"})])
    with pytest.raises(BadCaptionsError, match=r"both \.tar shards and \.txt files"):
        read(tmp_path)
