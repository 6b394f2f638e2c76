"""Shortened messages of Kubernetes; the texts are from Kubernetes 1.36."""

from datetime import timedelta

import pytest
from hypothesis import given, strategies as st

from selfhealing.health import messages

PULL = (
    'failed to pull and unpack image "docker.io/library/web:v1": failed to resolve reference '
    '"docker.io/library/web:v1": '
)
HEAD = 'failed to do request: Head "https://registry.example.com/v2/web/manifests/v1": '


class TestPulls:
    """Why an image cannot be pulled."""

    @pytest.mark.parametrize(
        ("cause", "expected"),
        [
            ("docker.io/library/web:v1: not found", "not found"),
            (
                (
                    "pull access denied, repository does not exist or may require authorization: "
                    "server message: insufficient_scope: authorization failed"
                ),
                "access is denied, or there is no such image",
            ),
            (
                "unexpected status from HEAD request to https://x/v2/: 403 Forbidden",
                "access is denied, or there is no such image",
            ),
            (
                (
                    "429 Too Many Requests - Server message: toomanyrequests: You have reached "
                    "your unauthenticated pull rate limit"
                ),
                "the registry limits the request rate",
            ),
            (
                "no match for platform in manifest: not found",
                "there is none for the node's platform",
            ),
            (
                f"{HEAD}dial tcp: lookup registry.example.com on 10.96.0.10:53: no such host",
                "the registry's name is not resolved",
            ),
            (
                f"{HEAD}dial tcp: lookup registry: Temporary failure in name resolution",
                "the registry's name is not resolved",
            ),
            (
                f"{HEAD}dial tcp 192.0.2.7:443: connect: connection refused",
                "the registry is out of reach",
            ),
            (
                (
                    f"{HEAD}tls: failed to verify certificate: x509: certificate signed by unknown "
                    "authority"
                ),
                "the registry's certificate is not trusted",
            ),
            (
                f"{HEAD}http: server gave HTTP response to HTTPS client",
                "the registry speaks HTTP, not HTTPS",
            ),
            (
                f"{HEAD}dial tcp 192.0.2.7:443: i/o timeout",
                "the registry does not answer in time",
            ),
            (
                "failed to copy: write /var/lib/x/ingest/data: no space left on device",
                "no space is left on the node",
            ),
            (
                "unexpected status from GET request to https://x/v2/: 503 Service Unavailable",
                "the registry fails",
            ),
            ("failed to copy: httpReadSeeker: failed open: unexpected EOF", "the registry fails"),
        ],
    )
    def test_cause(self, cause: str, expected: str) -> None:
        """The cause is the same for ErrImagePull and ImagePullBackOff."""
        first = f"rpc error: code = Unknown desc = {PULL}{cause}"

        assert expected == messages.pull_cause(first)
        assert expected == messages.pull_cause(
            f'Back-off pulling image "web:v1": ErrImagePull: {first}'
        )

    def test_the_name_of_the_image_is_no_cause(self) -> None:
        """The name of an image may contain the text of an error."""
        message = (
            'failed to pull and unpack image "docker.io/denied/timeout:not found": strange thing'
        )

        assert "strange thing" == messages.pull_cause(message)

    def test_no_cause(self) -> None:
        """After its start a kubelet reports only the back-off."""
        assert "" == messages.pull_cause('Back-off pulling image "web:v1"')

    def test_other_reasons(self) -> None:
        """The container runtime may have a reason of its own."""
        unavailable = (
            'Back-off pulling image "web:v1": RegistryUnavailable: image pull failed for web:v1 '
            "because the registry is unavailable: maintenance"
        )
        unsigned = (
            'Back-off pulling image "web:v1": SignatureValidationFailed: image pull failed for '
            "web:v1 because the signature validation failed: no key"
        )

        assert "the registry fails" == messages.pull_cause(unavailable)
        assert "its signature is not valid" == messages.pull_cause(unsigned)


class TestStarts:
    """Why a container cannot be started."""

    @pytest.mark.parametrize(
        ("message", "expected"),
        [
            (
                (
                    "failed to create containerd task: failed to create shim task: "
                    "OCI runtime create failed: runc create failed: unable to start container "
                    "process: error during "
                    'container init: exec: "nope": executable file not found in $PATH'
                ),
                'exec: "nope": executable file not found in $PATH',
            ),
            (
                (
                    "failed to create containerd task: failed to create shim task: "
                    "OCI runtime create failed: runc create failed: unable to start container "
                    "process: error during "
                    'container init: error mounting "/x" to rootfs at "/etc/x": not a directory: '
                    "unknown"
                ),
                'error mounting "/x" to rootfs at "/etc/x": not a directory',
            ),
            ('secret "db" not found', 'secret "db" not found'),
        ],
    )
    def test_cause(self, message: str, expected: str) -> None:
        """The cause is the end of the chain of errors."""
        assert expected == messages.start_cause(message)


class TestScheduling:
    """Why a pod cannot be scheduled."""

    @pytest.mark.parametrize(
        ("message", "expected"),
        [
            (
                (
                    "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient "
                    "cpu. preemption: 0/3 nodes are available: 1 Preemption is not helpful for "
                    "scheduling, "
                    "2 No preemption victims found for incoming pod."
                ),
                "1 node(s) had untolerated taint(s), 2 Insufficient cpu",
            ),
            (
                (
                    "0/1 nodes are available: 1 Insufficient memory. no new claims to deallocate, "
                    "preemption: 0/1 nodes are available: 1 No preemption victims found."
                ),
                "1 Insufficient memory",
            ),
            (
                '0/1 nodes are available: persistentvolumeclaim "data" not found.',
                'persistentvolumeclaim "data" not found',
            ),
            (
                "Scheduling is blocked due to non-empty scheduling gates",
                "Scheduling is blocked due to non-empty scheduling gates",
            ),
        ],
    )
    def test_cause(self, message: str, expected: str) -> None:
        """The reasons of the nodes, without the number of nodes and without preemption."""
        assert expected == messages.scheduling_cause(message)

    @pytest.mark.parametrize(
        ("reasons", "expected"),
        [
            ("1 node(s) didn't match pod affinity rules, 1 node(s) had untolerated taint(s).", 1),
            ("2 Insufficient cpu, 12 node(s) didn't match pod affinity rules.", 12),
            ("3 node(s) didn't match pod anti-affinity rules.", 0),
            ("3 node(s) didn't match Pod's node affinity/selector.", 0),
            ("3 Insufficient cpu.", 0),
        ],
    )
    def test_nodes_that_lack_the_pods_of_an_affinity(self, reasons: str, expected: int) -> None:
        """Those of other reasons do not count."""
        assert expected == messages.count_affinity_misfits(f"0/15 nodes are available: {reasons}")


class TestRefusals:
    """Why the API server refuses a pod."""

    @pytest.mark.parametrize("suffix", ["x7k2p", "b4mzq"])
    def test_the_name_of_the_pod_is_left_out(self, suffix: str) -> None:
        """The name is another one on each retry."""
        message = (
            f'pods "web-5d4f8c7b9-{suffix}" is forbidden: exceeded quota: small, requested: '
            "pods=1, used: pods=6, limited: pods=6"
        )

        assert (
            "exceeded quota: small, requested: pods=1, used: pods=6, limited: pods=6"
        ) == messages.refusal_cause(message)

    def test_a_webhook(self) -> None:
        """The message of a webhook is not changed."""
        message = 'admission webhook "policy.example.com" denied the request: no latest tag'

        assert message == messages.refusal_cause(message)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("of Pod web-5d4f8c7b9-x7k2p", "of Pod web-…"),
        ("pods web-5d4f8c7b9-x7k2p and web-66bd5c9d-aaaaa", "pods web-… and web-…"),
        ("of Pod web-api-5d4f8c7b9-x7k2p", "of Pod web-api-5d4f8c7b9-x7k2p"),
        ("deployment web", "deployment web"),
    ],
)
def test_strip_pod_names(text: str, expected: str) -> None:
    """Only the names of the app's own pods are replaced."""
    assert expected == messages.strip_pod_names(text, "web")


@pytest.mark.parametrize(
    ("code", "expected"),
    [(1, "exit code 1"), (137, "exit code 137, SIGKILL"), (143, "exit code 143, SIGTERM")],
)
def test_describe_exit_code(code: int, expected: str) -> None:
    """The signal is named."""
    assert expected == messages.describe_exit_code(code)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "The node was low on resource: memory. Threshold: 1",
            "The node was low on resource: memory",
        ),
        ("Pod was terminated.", "Pod was terminated"),
        ("", ""),
    ],
)
def test_first_sentence(message: str, expected: str) -> None:
    """Without the full stop."""
    assert expected == messages.first_sentence(message)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(1, "1 second"), (60, "1 minute"), (90, "90 seconds"), (600, "10 minutes")],
)
def test_format_duration(seconds: int, expected: str) -> None:
    """In minutes if it is a whole number of them."""
    assert expected == messages.format_duration(timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (42, "42 s"), (372, "6 min 12 s"), (7200, "2 h"), (7503, "2 h 5 min 3 s")],
)
def test_format_elapsed(seconds: int, expected: str) -> None:
    """To the second, without parts that are zero."""
    assert expected == messages.format_elapsed(timedelta(seconds=seconds))


class TestShorten:
    """Long texts."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("short", "short"),
            ("two\n lines", "two lines"),
            ("a sentence of words", "a sentence of…"),
            ("a sentence, of words", "a sentence…"),
            ("onelongwordwithoutend", "onelongwordwit…"),
        ],
    )
    def test_at_a_word(self, text: str, expected: str) -> None:
        """The cut is at the end of a word, unless too little text would be left."""
        assert expected == messages.shorten(text, 15)

    @given(st.text(), st.integers(5, 50))
    def test_never_longer(self, text: str, limit: int) -> None:
        """The limit holds for any text."""
        assert len(messages.shorten(text, limit)) <= limit
