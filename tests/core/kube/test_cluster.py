"""Which cluster is meant, and as whom: pods, kubeconfigs, plugins, and what is said of mistakes."""

from __future__ import annotations

import base64
import json
import ssl
import stat
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from reactorsync.kube import ApiUnavailable, Cluster, KubeConfigError, load_cluster
from reactorsync.kube.cluster import in_cluster
from reactorsync.kube.credentials import Credential, ExecPlugin, TokenFile

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)


def kubeconfig(
    folder: Path, parts: Mapping[str, object] | None = None, *, name: str = "config"
) -> Path:
    """A kubeconfig for one cluster, but for the parts given."""
    document: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "plant",
        "contexts": [
            {"name": "plant", "context": {"cluster": "c", "user": "u", "namespace": "bruce"}},
            {"name": "bare", "context": {"cluster": "c"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://plant.example:6443/"}}],
        "users": [{"name": "u", "user": {"token": "s3cret"}}],
    }
    path = folder / name
    path.write_text(yaml.safe_dump(document | dict(parts or {})))
    return path


def with_user(folder: Path, **user: object) -> Path:
    return kubeconfig(folder, {"users": [{"name": "u", "user": user}]})


def with_cluster(folder: Path, **cluster: object) -> Path:
    part = {"server": "https://plant.example:6443", **cluster}
    return kubeconfig(folder, {"clusters": [{"name": "c", "cluster": part}]})


def _some_authority() -> str:
    """One of the certificates that this machine trusts."""
    trusted = ssl.create_default_context().get_ca_certs(binary_form=True)
    if not trusted:
        pytest.skip("this machine trusts nobody")
    return ssl.DER_cert_to_PEM_cert(trusted[0])


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cluster but the one a test sets."""
    for variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


class TestKubeconfig:
    async def test_gives_server_namespace_and_token(self, tmp_path: Path) -> None:
        cluster = load_cluster(kubeconfig(tmp_path))

        assert cluster.server == "https://plant.example:6443"
        assert cluster.namespace == "bruce"
        assert await cluster.credentials.current() == Credential("Bearer s3cret")
        assert "s3cret" not in repr(cluster)

    async def test_of_another_context(self, tmp_path: Path) -> None:
        cluster = load_cluster(kubeconfig(tmp_path), context="bare")

        assert cluster.namespace == "default"
        assert await cluster.credentials.current() == Credential()

    def test_is_looked_for_where_kubectl_does(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".kube").mkdir()
        kubeconfig(tmp_path / ".kube")
        assert load_cluster().namespace == "bruce"

        elsewhere = [{"name": "plant", "context": {"cluster": "c", "namespace": "other"}}]
        other = kubeconfig(tmp_path, {"contexts": elsewhere}, name="other")
        monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{other}")
        assert load_cluster().namespace == "other"

    def test_of_several_files_the_first_that_names_a_thing_counts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        contexts = [{"name": "here", "context": {"cluster": "c", "namespace": "merged"}}]
        parts = {"contexts": contexts, "clusters": [], "users": None, "current-context": "here"}
        first = kubeconfig(tmp_path, parts, name="first")
        monkeypatch.setenv("KUBECONFIG", f"{first}:{kubeconfig(tmp_path, name='second')}")

        cluster = load_cluster()

        assert cluster.namespace == "merged"
        assert cluster.server == "https://plant.example:6443"

    async def test_names_files_from_its_own_folder(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("from-a-file\n")
        (tmp_path / "ca.pem").write_text(authority := _some_authority())
        user = [{"name": "u", "user": {"tokenFile": "token"}}]
        part = {"server": "https://x", "certificate-authority": "ca.pem"}
        path = kubeconfig(tmp_path, {"users": user, "clusters": [{"name": "c", "cluster": part}]})

        cluster = load_cluster(path)

        assert await cluster.credentials.current() == Credential("Bearer from-a-file")
        assert cluster.certificate_authority == authority

    async def test_takes_a_name_and_password(self, tmp_path: Path) -> None:
        cluster = load_cluster(with_user(tmp_path, username="ann", password="pass:word"))

        encoded = base64.b64encode(b"ann:pass:word").decode()
        assert (await cluster.credentials.current()).authorization == f"Basic {encoded}"

    def test_may_leave_the_server_unchecked(self, tmp_path: Path) -> None:
        careful = load_cluster(with_cluster(tmp_path)).ssl_context()
        careless = load_cluster(
            with_cluster(tmp_path, **{"insecure-skip-tls-verify": True})
        ).ssl_context()

        assert careful.verify_mode is ssl.CERT_REQUIRED
        assert careful.check_hostname
        assert careless.verify_mode is ssl.CERT_NONE

    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ({"current-context": ""}, "no current-context"),
            ({"current-context": "gone"}, r"no context 'gone' \(known: bare, plant\)"),
            ({"clusters": []}, "no cluster 'c'"),
            ({"users": []}, "no user 'u'"),
            ({"clusters": [{"name": "c", "cluster": {}}]}, "server: Field required"),
            ({"clusters": [{"name": "c", "cluster": {"server": "plant"}}]}, "no server URL"),
            (
                {"users": [{"name": "u", "user": {"client-key": "missing.pem"}}]},
                r"client-key 'missing.pem': No such file",
            ),
            (
                {"users": [{"name": "u", "user": {"client-key-data": "a2V5"}}]},
                "both client-certificate and client-key",
            ),
            (
                {"users": [{"name": "u", "user": {"client-key-data": "s3cret"}}]},
                "client-key holds no PEM text",
            ),
            (
                {
                    "users": [
                        {
                            "name": "u",
                            "user": {
                                "client-certificate-data": "Y2VydA==",
                                "client-key-data": "czNjcmV0",
                            },
                        }
                    ]
                },
                "user 'u': the client certificate or its key is no PEM",
            ),
            ({"users": [{"name": "u", "user": {"auth-provider": {"name": "gcp"}}}]}, "use exec"),
            ({"users": [{"name": "u", "user": {"token": ["s3cret"]}}]}, "users.0.user.token"),
        ],
    )
    def test_says_what_is_wrong_and_no_secret(
        self, tmp_path: Path, parts: dict[str, object], message: str
    ) -> None:
        with pytest.raises(KubeConfigError, match=message) as refused:
            load_cluster(kubeconfig(tmp_path, parts))

        assert "s3cret" not in str(refused.value)
        assert str(tmp_path) in str(refused.value)

    def test_that_is_no_yaml_is_not_quoted(self, tmp_path: Path) -> None:
        path = tmp_path / "config"
        path.write_text("token: [s3cret")

        with pytest.raises(KubeConfigError, match="is not YAML") as refused:
            load_cluster(path)

        assert "s3cret" not in str(refused.value)

    def test_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(KubeConfigError, match="No such file"):
            load_cluster(tmp_path / "missing")
        with pytest.raises(KubeConfigError, match=r"no pod, .*name one or set KUBECONFIG"):
            load_cluster()

    def test_an_authority_that_is_none(self) -> None:
        with pytest.raises(KubeConfigError, match="no PEM certificate"):
            Cluster("https://x", certificate_authority="none").ssl_context()


class TestPod:
    @pytest.fixture
    def account(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
        (tmp_path / "token").write_text("mounted")
        (tmp_path / "ca.crt").write_text("authority")
        (tmp_path / "namespace").write_text("reactorsync")
        return tmp_path

    async def test_is_its_service_account(self, account: Path) -> None:
        cluster = in_cluster(account)

        assert cluster.server == "https://[fd00::1]:443"
        assert cluster.namespace == "reactorsync"
        assert cluster.certificate_authority == "authority"
        assert isinstance(cluster.credentials, TokenFile)
        assert await cluster.credentials.current() == Credential("Bearer mounted")

    def test_goes_before_a_kubeconfig_that_nobody_named(
        self, account: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = kubeconfig(account)
        monkeypatch.setenv("KUBECONFIG", str(path))
        monkeypatch.setattr("reactorsync.kube.cluster.SERVICE_ACCOUNT", account)

        assert load_cluster(path).server == "https://plant.example:6443"
        assert load_cluster(context="bare").server == "https://plant.example:6443"

    def test_without_an_account(self, account: Path) -> None:
        (account / "token").unlink()

        with pytest.raises(KubeConfigError, match="automountServiceAccountToken"):
            in_cluster(account)


class TestPlugin:
    @pytest.fixture
    def program(self, tmp_path: Path) -> Path:
        """A plugin that counts its calls and prints what stands beside it."""
        path = tmp_path / "plugin"
        path.write_text(
            f"#!{sys.executable}\n"
            "import os, pathlib\n"
            "here = pathlib.Path(__file__).parent\n"
            "with (here / 'calls').open('a') as calls:\n"
            "    calls.write(os.environ['KUBERNETES_EXEC_INFO'] + '\\n')\n"
            "print((here / 'answer').read_text())\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    @staticmethod
    def answer(program: Path, **status: object) -> None:
        document = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": status,
        }
        (program.parent / "answer").write_text(json.dumps(document))

    @staticmethod
    def calls(program: Path) -> list[dict[str, object]]:
        calls = program.parent / "calls"
        return [json.loads(line) for line in calls.read_text().splitlines()]

    async def test_is_asked_as_the_kubeconfig_says(self, program: Path) -> None:
        self.answer(program, token="from-plugin")
        plugin = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "./plugin",
            "args": None,
            "env": [{"name": "REGION", "value": "north"}],
            "interactiveMode": "Never",
            "provideClusterInfo": True,
        }

        cluster = load_cluster(with_user(program.parent, exec=plugin))

        assert await cluster.credentials.current() == Credential("Bearer from-plugin")
        (told,) = self.calls(program)
        assert told["kind"] == "ExecCredential"
        assert told["spec"] == {
            "interactive": False,
            "cluster": {
                "server": "https://plant.example:6443/",
                "insecure-skip-tls-verify": False,
            },
        }

    async def test_is_asked_again_shortly_before_its_answer_expires(self, program: Path) -> None:
        now = [NOW]
        plugin = ExecPlugin(str(program), now=lambda: now[0])
        expires = NOW + timedelta(minutes=10)
        self.answer(program, token="first", expirationTimestamp=expires.isoformat())
        await plugin.current()
        self.answer(program, token="second")

        now[0] = NOW + timedelta(minutes=9)
        assert await plugin.current() == Credential("Bearer first")
        now[0] = NOW + timedelta(minutes=9, seconds=45)
        assert await plugin.current() == Credential("Bearer second")
        now[0] = NOW + timedelta(days=9)
        assert await plugin.current() == Credential("Bearer second")
        assert len(self.calls(program)) == 2

    async def test_is_asked_again_when_its_answer_was_refused(self, program: Path) -> None:
        plugin = ExecPlugin(str(program))
        self.answer(program, token="first")
        first = await plugin.current()
        self.answer(program, token="second")

        assert plugin.refuse(first)
        assert await plugin.current() == Credential("Bearer second")

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            ("token s3cret", "not as specified"),
            ('{"apiVersion": "v1", "kind": "Pod", "status": {"token": "s3cret"}}', "its kind"),
            (
                '{"apiVersion": "x/v9", "kind": "ExecCredential", "status": {"token": "s3cret"}}',
                "answers with x/v9",
            ),
            (
                json.dumps(
                    {
                        "apiVersion": "client.authentication.k8s.io/v1",
                        "kind": "ExecCredential",
                        "status": {"clientKeyData": "s3cret"},
                    }
                ),
                "neither a token nor",
            ),
        ],
    )
    async def test_that_answers_with_nonsense(
        self, program: Path, answer: str, message: str
    ) -> None:
        (program.parent / "answer").write_text(answer)

        with pytest.raises(ApiUnavailable, match=message) as refused:
            await ExecPlugin(str(program)).current()

        assert "s3cret" not in str(refused.value)

    async def test_that_fails(self, program: Path) -> None:
        with pytest.raises(ApiUnavailable, match="exit code 1"):
            await ExecPlugin(str(program)).current()

    async def test_that_is_not_installed(self) -> None:
        plugin = ExecPlugin("no-such-plugin", install_hint="get it from your provider")

        with pytest.raises(ApiUnavailable, match=r"No such file .*; get it from your provider"):
            await plugin.current()
