"""Views of lists: kept under a name, renamed, deleted."""

import pytest

from tests.backend.conftest import Backend, check_problem


def save(backend: Backend, name: str, query: str = "status=failed", page: str = "runs", **more: object) -> object:
    return backend.user("POST", "/saved-views", json={"page": page, "name": name, "query": query, **more})


def names(backend: Backend, **params: str) -> list[tuple[str, str]]:
    return [(one["name"], one["query"]) for one in backend.get("/saved-views", **params)["items"]]


def test_view_is_kept_renamed_and_deleted(backend: Backend) -> None:
    view = save(backend, "Failed 7B", "?sort=-ended&status=failed&text=a%20b").json()
    assert names(backend) == [("Failed 7B", "sort=-ended&status=failed&text=a+b")]
    other = save(backend, "best", "sort=-accuracy").json()
    save(backend, "best", "sort=-base_eval", page="pipelines")
    check_problem(
        backend.user("POST", f"/saved-views/{other['id']}/rename", json={"name": "failed 7b"}), 409, "name_taken"
    )
    assert backend.user("POST", f"/saved-views/{view['id']}/rename", json={"name": "failed 7b"}).status_code == 200
    assert [name for name, _ in names(backend, page="runs")] == ["best", "failed 7b"]
    assert backend.user("DELETE", f"/saved-views/{view['id']}").json() == {"id": view["id"]}
    assert names(backend, page="runs") == [("best", "sort=-accuracy")]
    check_problem(backend.user("DELETE", f"/saved-views/{view['id']}"), 404, "view_not_found")


def test_other_view_of_the_same_name_is_only_replaced_when_asked(backend: Backend) -> None:
    first = save(backend, "mine").json()
    assert save(backend, "MINE").json() == first
    check_problem(save(backend, "Mine", "status=running"), 409, "name_taken")
    assert save(backend, "Mine", "status=running", replace=True).json()["id"] == first["id"]
    assert names(backend) == [("mine", "status=running")]


@pytest.mark.parametrize("name", ["", "<b>", "x" * 61, "a\tb\x00"])
def test_bad_name_is_refused(backend: Backend, name: str) -> None:
    check_problem(save(backend, name), 422, "bad_name")


@pytest.mark.parametrize("query", ["x", "A=1", "https://elsewhere?a=1", "a=1&" * 40 + "a=1"])
def test_what_is_no_query_is_refused(backend: Backend, query: str) -> None:
    check_problem(save(backend, "v", query), 422, "bad_query")


def test_empty_query_is_the_whole_list(backend: Backend) -> None:
    assert save(backend, "all", "").json()["query"] == ""
