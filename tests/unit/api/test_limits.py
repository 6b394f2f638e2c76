"""The patterns of names, with examples that Kubernetes accepts or refuses."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from selfhealing.api import limits
from selfhealing.api.cel_rules import IMAGE_PATTERN

KEYWORDS_BY_NAME: Mapping[str, Mapping[str, Any]] = {
    "dns_label": limits.dns_label,
    "dns_subdomain": limits.dns_subdomain,
    "label_key": limits.label_key,
    "label_value": limits.label_value,
    "port_name": limits.port_name,
    "key": limits.config_key,
    "env_name": limits.env_name,
    "relative_path": limits.relative_path,
    "path_below": limits.relative_path_or_empty,
    "path_without_steps": limits.path_without_dot_dot,
    "quantity": limits.quantity,
    "image": {"pattern": IMAGE_PATTERN, "maxLength": 512},
}


def matches_keywords(shape: str, text: str) -> bool:
    keywords = KEYWORDS_BY_NAME[shape]
    return len(text) <= keywords["maxLength"] and bool(re.search(keywords["pattern"], text))


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ("dns_label", "a"),
        ("dns_label", "0-a"),
        ("dns_subdomain", "a.b-c.0"),
        ("label_key", "app"),
        ("label_key", "A_b.c"),
        ("label_key", "example.com/A_b.c"),
        ("label_value", ""),
        ("label_value", "v1.2_3-x"),
        ("port_name", "http"),
        ("port_name", "8080-a"),
        ("port_name", "a1-2"),
        ("port_name", "1-2a-3"),
        ("key", "tls.crt"),
        ("key", ".dockerconfigjson"),
        ("key", "a..b"),
        ("env_name", "A.B-c d"),
        ("relative_path", "a"),
        ("relative_path", "a/..b"),
        ("relative_path", "a//b/"),
        ("relative_path", "..."[:1]),
        ("path_below", ""),
        ("path_below", "..a/b"),
        ("path_without_steps", "/a/b"),
        ("path_without_steps", "a/..b"),
        ("quantity", "100m"),
        ("quantity", ".5"),
        ("quantity", "1."),
        ("quantity", "5e-1"),
        ("quantity", "1.5Gi"),
        ("quantity", "1e3"),
        ("quantity", "0"),
        ("image", "nginx"),
        ("image", "nginx:1.29"),
        ("image", "localhost:5000/a/b_c/d-e:V1.2_x"),
        ("image", "registry.example.com/a@sha256:" + "0" * 64),
        ("image", "[::1]:5000/a"),
    ],
)
def test_what_kubernetes_accepts_fits(shape: str, text: str) -> None:
    """A value that Kubernetes accepts is accepted."""
    assert matches_keywords(shape, text)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ("dns_label", ""),
        ("dns_label", "-a"),
        ("dns_label", "a-"),
        ("dns_label", "A"),
        ("dns_label", "a" * 64),
        ("dns_subdomain", "a..b"),
        ("label_key", ""),
        ("label_key", "a/b/c"),
        ("label_key", "Example.com/a"),
        ("label_key", "a" * 64),
        ("label_value", "-a"),
        ("label_value", "a b"),
        ("port_name", "8080"),
        ("port_name", "a--b"),
        ("port_name", "-a"),
        ("port_name", "a-"),
        ("port_name", "A"),
        ("port_name", "a" * 16),
        ("key", "."),
        ("key", ".."),
        ("key", "..a"),
        ("key", "a/b"),
        ("env_name", ""),
        ("env_name", "A=B"),
        ("env_name", "ä"),
        ("relative_path", ""),
        ("relative_path", "/a"),
        ("relative_path", ".."),
        ("relative_path", "..a"),
        ("relative_path", "a/../b"),
        ("path_below", "/"),
        ("path_below", "../a"),
        ("path_below", "a/.."),
        ("path_without_steps", "/.."),
        ("path_without_steps", "../a"),
        ("quantity", "-1"),
        ("quantity", "1MB"),
        ("quantity", ""),
        ("image", ""),
        ("image", "Nginx"),
        ("image", "nginx:"),
        ("image", "nginx "),
        ("image", "a//b"),
        ("image", "nginx:1.29:2"),
    ],
)
def test_what_kubernetes_refuses_does_not_fit(shape: str, text: str) -> None:
    """A value that Kubernetes refuses in a child is refused in the resource."""
    assert not matches_keywords(shape, text)
