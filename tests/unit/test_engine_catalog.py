"""The catalog of releases: what a spec names, and where it may come from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from roadstead.clusters import versions
from roadstead.core import errors
from roadstead.engine import catalog, recipe, settings

CATALOG = catalog.load()
MODULES = Path(__file__).resolve().parents[2] / "engines"


@pytest.mark.parametrize(
    ("spec", "release"),
    [
        ("1.37", "kubernetes-1.37.2"),
        ("1.36.3", "kubernetes-1.36.3"),
        ("1", "kubernetes-1.37.2"),
        ("kubernetes", "kubernetes-1.37.2"),
        ("kubernetes@1.35", "kubernetes-1.35.4"),
        ("kubernetes-1.35.4", "kubernetes-1.35.4"),
        ("etcd", "etcd-3.6.16"),
        ("containerd@2", "containerd-2.3.7"),
        ("busybox", "busybox-distribution"),
        ("runc", "runc-1.5.3"),
    ],
)
def test_a_spec_names_the_newest_release_that_fits(spec: str, release: str) -> None:
    assert catalog.resolve(CATALOG, spec, "amd64").id == release


@pytest.mark.parametrize("spec", ["1.3", "1.38", "etcd@3.5", "docker", "kubernetes@1.37.3"])
def test_what_the_catalog_has_not_is_not_found(spec: str) -> None:
    with pytest.raises(errors.NotFound):
        catalog.resolve(CATALOG, spec, "amd64")


@pytest.mark.parametrize("spec", ["", "../etcd", "etcd@", "1.37/..", "ETCD"])
def test_another_form_of_a_spec_is_invalid(spec: str) -> None:
    with pytest.raises(errors.Invalid):
        catalog.resolve(CATALOG, spec, "amd64")


def test_an_unknown_architecture_is_not_found() -> None:
    with pytest.raises(errors.NotFound, match="riscv64"):
        catalog.resolve(CATALOG, "etcd", "riscv64")


def test_the_newest_patch_is_by_number_and_not_by_text() -> None:
    engine = catalog.CatalogEngine(name="kubernetes", versions=("1.37.9", "1.37.10", "1.4.11"), components=("kubelet",))
    go = CATALOG.go
    ours = catalog.Catalog(architectures=("amd64",), needed=(), engines=(engine,), go=go)
    assert catalog.resolve(ours, "1.37", "amd64").version == "1.37.10"
    assert catalog.resolve(ours, "1", "amd64").version == "1.37.10"


def test_the_catalog_is_whole() -> None:
    for release in catalog.releases(CATALOG, "amd64"):
        engine = release.engine
        assert any((engine.download, engine.build, engine.wheel, engine.seed, engine.distribution)), release.id
        assert engine.probe is None or engine.probe.component in engine.components
        if engine.wheel is not None:
            assert set(engine.wheel.members) == set(engine.components)
            assert set(engine.digests) == {f"{release.version}/{arch}" for arch in CATALOG.architectures}
        for digest in (*engine.digests.values(), *CATALOG.go.digests.values()):
            assert re.fullmatch(r"[0-9a-f]{64}", digest)
    for spec in CATALOG.needed:
        catalog.resolve(CATALOG, spec, "amd64")
    patches = set(catalog.resolve(CATALOG, "kubernetes", "amd64").engine.versions)
    assert {version.patch for version in versions.OFFERED} == patches
    assert set(catalog.resolve(CATALOG, "seed", "amd64").engine.versions) == patches


@pytest.mark.parametrize(
    ("spec", "file"),
    [
        ("1.37", "v1.37.2/bin/linux/arm64/kubelet"),
        ("etcd", "v3.6.16/etcd-v3.6.16-linux-arm64.tar.gz"),
        ("containerd", "v2.3.7/containerd-static-2.3.7-linux-arm64.tar.gz"),
        ("coredns", "v1.15.0/coredns_1.15.0_linux_arm64.tgz"),
    ],
)
def test_the_official_layouts(spec: str, file: str) -> None:
    release = catalog.resolve(CATALOG, spec, "arm64")
    assert release.engine.download is not None
    assert release.fill(release.engine.download.file, "kubelet") == file


def test_every_module_pins_the_version_that_the_catalog_says() -> None:
    pinned = {
        "kubernetes": "k8s.io/kubernetes v",
        "etcd": "go.etcd.io/etcd/server/v3 v",
        "containerd": "github.com/containerd/containerd/v2 v",
        "coredns": "github.com/coredns/coredns v",
    }
    for release in catalog.releases(CATALOG, "amd64"):
        if release.engine.build is not None and release.engine.name in pinned:
            modfile = MODULES / release.engine.build.module / release.fill(release.engine.build.modfile)
            assert f"{pinned[release.engine.name]}{release.version}\n" in modfile.read_text(), release.id


def test_the_build_of_kubernetes_is_one_binary() -> None:
    release = catalog.resolve(CATALOG, "1.36", "amd64")
    build = release.engine.build
    assert build is not None
    (target,) = recipe.targets(release, build)
    assert target.components == release.engine.components
    assert recipe.arguments(release, build, target, Path("/out")) == [
        *("build", "-v", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-modfile=go-1.36.mod"),
        *("-tags", "selinux,notest,grpcnotrace", "-ldflags"),
        "-s -w -buildid= -X k8s.io/component-base/version.gitVersion=v1.36.3"
        " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"
        " -X k8s.io/component-base/version.gitTreeState=archive",
        *("-o", "/out", "."),
    ]


def test_all_packages_of_a_build_are_counted_as_it_will_be_built() -> None:
    release = catalog.resolve(CATALOG, "1.36", "amd64")
    build = release.engine.build
    assert build is not None
    assert recipe.listing(release, build, recipe.targets(release, build)) == [
        *("list", "-deps", "-modfile=go-1.36.mod", "-tags", "selinux,notest,grpcnotrace", "."),
    ]


def test_the_build_of_etcd_is_a_binary_for_each_component() -> None:
    release = catalog.resolve(CATALOG, "etcd", "amd64")
    assert release.engine.build is not None
    packages = [target.package for target in recipe.targets(release, release.engine.build)]
    assert packages == ["./cmd/etcd", "./cmd/etcdctl", "./cmd/etcdutl"]


def module(folder: Path, sums: str) -> Path:
    (folder / "pause").mkdir(parents=True)
    (folder / "pause" / "main.go").write_text("package main\n")
    (folder / "pause" / "go.mod").write_text("module pause\n\ngo 1.26.0\n")
    (folder / "pause" / "go.sum").write_text(sums)
    (folder / "pause" / "notes.txt").write_text(str(folder))
    return folder


def test_the_recipe_is_what_decides_the_bytes_and_not_the_place(tmp_path: Path) -> None:
    release = catalog.resolve(CATALOG, "pause", "amd64")
    one = recipe.hash_of(release, module(tmp_path / "one", "a"))
    assert recipe.hash_of(release, module(tmp_path / "two", "a")) == one
    assert recipe.hash_of(release, module(tmp_path / "three", "b")) != one
    assert recipe.hash_of(catalog.resolve(CATALOG, "pause", "arm64"), tmp_path / "one") != one
    assert re.fullmatch(r"[0-9a-f]{16}", one)


def test_a_minor_of_kubernetes_does_not_depend_on_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "kubernetes"
    folder.mkdir()
    for minor in ("1.36", "1.37"):
        (folder / f"go-{minor}.mod").write_text("go 1.26.0\n")
    before = {minor: recipe.hash_of(catalog.resolve(CATALOG, minor, "amd64"), tmp_path) for minor in ("1.36", "1.37")}
    (folder / "go-1.37.sum").write_text("changed\n")
    assert recipe.hash_of(catalog.resolve(CATALOG, "1.36", "amd64"), tmp_path) == before["1.36"]
    assert recipe.hash_of(catalog.resolve(CATALOG, "1.37", "amd64"), tmp_path) != before["1.37"]


def test_the_go_that_a_module_wants() -> None:
    assert recipe.go_wanted("module x\n\ngo 1.26.8\n\nrequire go 1.2 v1\n") == "1.26.8"
    with pytest.raises(errors.Failed, match="no `go` line"):
        recipe.go_wanted("module x\n")


@pytest.mark.parametrize(
    ("environment", "cache"),
    [
        ({"ROADSTEAD_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/roadstead"),
        ({"XDG_CACHE_HOME": "b", "HOME": "/c"}, "/c/.cache/roadstead"),
        ({"HOME": "/c"}, "/c/.cache/roadstead"),
    ],
)
def test_the_place_of_the_cache(environment: dict[str, str], cache: str) -> None:
    assert settings.from_environment(environment).cache == Path(cache)


@pytest.mark.parametrize("environment", [{}, {"HOME": ""}, {"ROADSTEAD_CACHE": "here", "HOME": "/c"}])
def test_no_place_for_a_cache(environment: dict[str, str]) -> None:
    with pytest.raises(errors.Invalid, match="ROADSTEAD_CACHE"):
        settings.from_environment(environment)


def test_the_modules_and_the_other_settings() -> None:
    chosen = settings.from_environment(
        {"HOME": "/c", "ROADSTEAD_DOWNLOAD_ETCD": "https://mirror.example/etcd/", "ROADSTEAD_ENGINE_PATH": "/bins"}
    )
    assert chosen.modules == MODULES
    assert chosen.downloads == {"etcd": "https://mirror.example/etcd"}
    assert chosen.path == Path("/bins")
