"""What a port's processes see of the user's environment: what programs need, and no secrets.

Builds see more, so that they find compilers and fetch packages.
"""

import re
from collections.abc import Mapping

# Variables that programs and runtimes need; a port names more in its manifest (run.env).
KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|VIRTUAL_ENV|XDG_\w+_HOME"
    r"|(?:DY)?LD_LIBRARY_PATH|PYTHON\w*|JAVA_(?:HOME|TOOL_OPTIONS)|NODE_(?:PATH|OPTIONS)"
    r"|GO(?:MAXPROCS|GC|DEBUG|MEMLIMIT|TRACEBACK)|RUST_(?:BACKTRACE|MIN_STACK)|DOTNET_\w+"
    r"|(?:OMP|GOMP|KMP|OPENBLAS|MKL|BLIS|NUMBA|CUDA|JAX|XLA|TORCH|PYTORCH|PYTENSOR|BACKPROP)_\w+"
    r"|NVIDIA_VISIBLE_DEVICES|[ALTU]\w*SAN_OPTIONS"
)
# What compilers, package managers and their proxies also read.
FOR_BUILDS = re.compile(
    r"(?:HTTPS?|FTP|ALL|NO)_PROXY|(?:SSL|GIT_SSL|REQUESTS|CURL|NODE|PIP|AWS)_\w*(?:CA|CERT)\w*"
    r"|(?:HOST_|TARGET_)?(?:AR|AS|CC|CPP|CXX|DC|FC|F77|LD|NM|NVCC|OBJC|RANLIB|STRIP)"
    r"|(?:C|CPP|CXX|D|F|FC|LD|MAKE|NVCC|RUST|RUSTDOC)_?FLAGS\w*|LDLIBS|MAKELEVEL|SOURCE_DATE_EPOCH"
    r"|CPATH|\w+_INCLUDE_PATH|LIBRARY_PATH|MANPATH|TERM|PKG_CONFIG\w*|ACLOCAL_PATH|NVHPC\w*"
    r"|(?:AMENT|ANT|BAZEL|BUN|CABAL|CARGO|CCACHE|CMAKE|CONAN|CONDA|DENO|DUB|ERL|GEM|GHCUP|GRADLE"
    r"|GUIX|HEX|HOMEBREW|JAVA|JDK|JULIA|KOTLIN|LEIN|LUAROCKS|M2|MAMBA|MAVEN|MIX|MVN|NIM|NIX|NODE"
    r"|NPM_CONFIG|NUGET|NVM|OPAM|PERL|PIP|PIXI|PNPM|POETRY|PYENV|RBENV|RUBY|RUSTC|RUSTUP|SBT|SCCACHE"
    r"|SDKMAN|SPACK|STACK|SWIFT|UV|VCPKG|XDG|YARN|ZIG)_\w+"
    r"|PERL5LIB|RUBYLIB|RUBYOPT|GO\w+|CGO_\w+|RUST\w*|DOTNET\w*|(?:JULIA|DYLD|LIB|CLASS)PATH",
    re.IGNORECASE,
)
SECRET = re.compile(
    r"TOKEN|SECRET|PASSW(?:OR)?D|PASSPHRASE|CREDENTIAL|(?:API|ACCESS|PRIVATE)_?KEY|AUTH(?!OR)"
    r"|COOKIE",
    re.IGNORECASE,
)
LOGIN = re.compile(r"://[^/\s@]*:[^/\s@]*@")  # a name and a password in an address


def visible(variables: Mapping[str, str], *, to_builds: bool = False) -> dict[str, str]:
    """The variables that a port sees, or what builds it and looks for its toolchain."""
    return {
        name: value
        for name, value in variables.items()
        if (KEPT.fullmatch(name) or (to_builds and FOR_BUILDS.fullmatch(name)))
        and not SECRET.search(name)
        and not LOGIN.search(value)
    }
