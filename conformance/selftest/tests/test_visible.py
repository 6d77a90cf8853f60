"""Which variables of the environment a port sees, and what builds it."""

import pytest

from conformance.process.environment import visible

EVERYBODY = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_CACHE_HOME", "LD_LIBRARY_PATH"),
    *("DYLD_LIBRARY_PATH", "PYTHONPATH", "JAVA_HOME", "NODE_OPTIONS", "GOMAXPROCS", "GOGC"),
    *("RUST_BACKTRACE", "DOTNET_ROOT", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "XLA_FLAGS"),
    *("BACKPROP_X", "NVIDIA_VISIBLE_DEVICES", "ASAN_OPTIONS", "UBSAN_OPTIONS"),
)
BUILDS = (
    *("HTTPS_PROXY", "https_proxy", "no_proxy", "SSL_CERT_FILE", "CC", "HOST_CXX", "CFLAGS"),
    *("LDLIBS", "C_INCLUDE_PATH", "LIBRARY_PATH", "PKG_CONFIG_PATH", "CARGO_HOME", "UV_CACHE_DIR"),
    *("npm_config_cache", "PERL5LIB", "GOPATH", "CGO_ENABLED", "RUSTFLAGS", "CLASSPATH"),
    *("GIT_SSL_CAINFO", "CARGO_AUTHOR"),
)
NOBODY = (
    *("MY_OWN", "path", "MYPATH", "PATH2", "SSH_AGENT_PID", "PYTHON_TOKEN", "JAX_API_KEY"),
    *("OMP_SECRET", "CUDA_PASSWORD", "CARGO_PASSWD", "PIP_PASSPHRASE", "AWS_CREDENTIALS_CERT"),
    *("NODE_AUTH_TOKEN", "npm_config__auth", "CARGO_AccessKey", "GO_PRIVATE_KEY", "DENO_COOKIE"),
)


@pytest.mark.parametrize("name", [*EVERYBODY, *BUILDS, *NOBODY])
def test_a_variable_is_seen_by_whom_it_is_for(name: str) -> None:
    seen = {name: "x"}
    assert visible(seen) == (seen if name in EVERYBODY else {})
    assert visible(seen, to_builds=True) == ({} if name in NOBODY else seen)


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("http://proxy:3128/a@b", True),
        ("user:word@host", True),
        ("http://user@proxy:3128", True),
        ("http://user:word@proxy:3128", False),
        ("see https://:word@proxy", False),
    ],
)
def test_an_address_with_a_password_is_seen_by_nobody(value: str, seen: bool) -> None:
    for name in ("OMP_PLACES", "HTTP_PROXY"):
        assert visible({name: value, "PATH": "/bin"}, to_builds=True).get(name) == (
            value if seen else None
        )
    assert visible({"OMP_PLACES": value}) == ({"OMP_PLACES": value} if seen else {})
