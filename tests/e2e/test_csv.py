"""Section 5: breakdowns as CSV."""
import pytest

from harness import expect, logdata, model

MONTH = "start=2026-01-01T00:00:00Z&end=2026-01-31T23:59:59Z"
DAY = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"
ITEMS = {"service": model.by_service, "user": model.by_user, "country": model.by_country}


@pytest.mark.parametrize("group_by", ITEMS)
def test_the_bytes_are_those_of_the_lines(month, span, span_query, group_by):
    answer = month.app.breakdown(f"{span_query}&group_by={group_by}&format=csv")
    answer.csv()
    assert answer.text == model.to_csv(group_by, ITEMS[group_by](month.between(*span)))


HEADINGS = {
    "service": "key,membership,requests_count_total,requests_count_sync,requests_count_async,requests_count_exposed,"
               "unique_users_count,countries",
    "user": "key,membership,executions_count,countries",
    "country": "key,membership,executions_count,unique_users_count,countries",
}


@pytest.mark.parametrize("group_by", HEADINGS)
def test_the_heading_stands_even_without_items(month, group_by):
    answer = month.app.breakdown(f"start=2025-06-01T00:00:00Z&end=2025-06-02T00:00:00Z&group_by={group_by}&format=csv")
    assert answer.body == (HEADINGS[group_by] + "\n").encode()


@pytest.mark.parametrize("group_by", ITEMS)
def test_lines_end_in_lf(month, group_by):
    body = month.app.breakdown(f"{MONTH}&group_by={group_by}&format=csv").body
    assert body.endswith(b"\n") and b"\r" not in body


FILE_NAMES = [
    ("service", "2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z", "service-20260101T000000Z-20260131T235959Z"),
    ("user", "2026-01-01T00:00:00.999Z", "2026-01-31T23:59:59.999999999Z", "user-20260101T000000Z-20260131T235959Z"),
    ("country", "2026-01-01T00:00:00%2B02:00", "2026-01-01T00:00:00-05:30",
     "country-20251231T220000Z-20260101T053000Z"),
    ("COUNTRY", "1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z", "country-19691231T235959Z-19700101T000000Z"),
]


@pytest.mark.parametrize("group_by,start,end,name", FILE_NAMES)
def test_the_file_name(month, group_by, start, end, name):
    answer = month.app.breakdown(f"start={start}&end={end}&group_by={group_by}&format=csv")
    assert answer.header("Content-Disposition") == f'attachment; filename="oscar-metrics-{name}.csv"'


def test_json_has_no_file_name(month):
    assert month.app.breakdown(f"{MONTH}&group_by=user").header("Content-Disposition") is None


@pytest.mark.parametrize("group_by", ITEMS)
def test_completeness_is_in_the_header(month, group_by):
    answer = month.app.breakdown(f"{MONTH}&group_by={group_by}&format=csv")
    assert answer.header("OSCAR-Metrics-Complete") == "true"
    expect.common_headers(answer)


def test_incompleteness_is_in_the_header(month):
    answer = month.app.breakdown("start=2019-12-01T00:00:00Z&end=2020-01-02T00:00:00Z&group_by=user&format=csv")
    assert answer.header("OSCAR-Metrics-Complete") == "false"


# Cells: the user as logged, the bytes in the file.

CELLS = {
    "plain": (b"a1@egi.eu", b"a1@egi.eu"),
    "blank inside": (b"a b", b"a b"),
    "comma": (b"a,b", b'"a,b"'),
    "quote": (b'say "hi"', b'"say ""hi"""'),
    "quotes alone": (b'""', b'""""""'),
    "carriage return": (b"a\rb", b'"a\rb"'),
    "formula": (b"=cmd()", b"'=cmd()"),
    "plus": (b"+1", b"'+1"),
    "minus": (b"-1", b"'-1"),
    "at": (b"@SUM(A1)", b"'@SUM(A1)"),
    "formula with a comma": (b"=A(1,2)", b"\"'=A(1,2)\""),
    "formula with a quote": (b'="x"', b'"\'=""x"""'),
    "sign inside": (b"a=b+c-d@e", b"a=b+c-d@e"),
    "quote before a formula": (b"'=x", b"'=x"),
    "semicolon": (b"a;b", b"a;b"),
    "UTF-8": ("Zoë 😀".encode(), "Zoë 😀".encode()),
    "no UTF-8": (b"a\xff\xfeb", "a\ufffd\ufffdb".encode()),
    "a tab inside": (b"a\tb", b"a\tb"),
}


@pytest.mark.parametrize("row", CELLS)
def test_cells_are_quoted_and_defused(start, folder, row):
    user, cell = CELLS[row]
    line = logdata.request("2026-01-01T10:00:00Z", user="USER").encode().replace(b"USER", user)
    logdata.write(folder / "manager.log", logdata.REQUESTS_BEGIN, line)
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "manager.log"})
    answer = app.breakdown(f"{DAY}&group_by=user&format=csv")
    membership = b"member"
    assert answer.body == HEADINGS["user"].encode() + b"\n" + cell + b"," + membership + b",1,\n"


def test_the_empty_id_is_an_empty_cell(start, folder):
    logdata.write(folder / "manager.log", logdata.REQUESTS_BEGIN, logdata.request("2026-01-01T10:00:00Z", user=""))
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "manager.log"})
    assert app.breakdown(f"{DAY}&group_by=user&format=csv").csv()[1] == ["", "unknown", "1", ""]


def test_countries_are_one_cell(start, folder):
    logdata.write(folder / "manager.log", logdata.REQUESTS_BEGIN, logdata.request("2026-01-01T10:00:00Z"))
    app = start({"OSCAR_METRICS_LOG_FILES": folder / "manager.log"})
    assert app.breakdown(f"{DAY}&group_by=country&format=csv").csv()[1] == ["unknown", "", "1", "1", "unknown:1"]
    assert app.breakdown(f"{DAY}&group_by=service&format=csv").csv()[1] == ["yolo", "", "1", "1", "0", "0", "1", ""]
